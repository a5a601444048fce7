/* The one transaction: raw events, rejects, pending minute sums, their fold into minute rows and
 * totals, and the position last of all.
 *
 * It is sent as one pipeline up to one Sync: nothing in it waits for an answer to come here and
 * back. A process that is killed on the way has sent all of it or nothing that counts. One that is
 * frozen in the middle of sending holds no lock that anybody else waits for: until the last
 * statements, which are short and leave together, it has only added rows of its own. */
#include "aggregator/ledger.h"

#include "aggregator/reject.h"
#include "aggregator/sql.h"
#include "common/clock.h"

#include <stdio.h>
#include <stdlib.h>

/* Slices, rejects, pending, recounts, fold, advance. A fold may have many batches' sums to take
 * over. */
enum { STATEMENTS_MAX = SLICES + 6, COMMIT_DEADLINE_MS = 120000 };

struct write {
    struct ledger *ledger;
    struct batch *batch;
    char last_id[ENTRY_ID_SIZE];
    uint64_t entries_added;
    struct pg_statement *statements;
    int n;
    int fold; /* which of them; -1: none */
    unsigned char times[SLICES][16];
    char numbers[12][24]; /* texts of whole numbers, until pg_run */
    char slices[SLICES][2][16];
};

static const char *put_i64(char out[24], int64_t v)
{
    snprintf(out, 24, "%lld", (long long)v);
    return out;
}

static struct pg_statement *next_statement(struct write *w, const char *sql)
{
    struct pg_statement *s = &w->statements[w->n++];

    pg_statement_init(s, sql);
    return s;
}

static void add_slices(struct write *w)
{
    const struct ledger *l = w->ledger;
    struct batch *b = w->batch;

    for (int i = 0; i < SLICES; i++) {
        struct pg_statement *s;

        if (b->slices[i].events == 0)
            continue;
        snprintf(w->slices[i][0], sizeof w->slices[i][0], "%d", i);
        snprintf(w->slices[i][1], sizeof w->slices[i][1], "%u", b->slices[i].events);
        s = next_statement(w, SQL_INSERT_SLICE);
        pg_add_text(s, l->stream);
        pg_add_text(s, w->numbers[0]);
        pg_add_text(s, w->numbers[1]);
        pg_add_text(s, w->numbers[2]);
        pg_add_text(s, w->slices[i][0]);
        pg_add_text(s, w->slices[i][1]);
        slice_columns_bind(&b->slices[i], s, w->times[i]);
    }
}

static void put_rejection(struct ledger *l, const struct batch *b, const struct rejection *r)
{
    const struct entry *entry = &b->entries->list[r->entry];
    struct pg_array *a = l->arrays;

    buf_clear(&l->scratch);
    buf_printf(&l->scratch, "%llu-%llu", (unsigned long long)entry->ms,
               (unsigned long long)entry->seq);
    pg_array_add(&a[0], l->scratch.data, l->scratch.length);
    if (r->tenant.length > 0)
        pg_array_add(&a[1], r->tenant.data, r->tenant.length);
    else
        pg_array_add_null(&a[1]);
    pg_array_add_text(&a[2], r->reason);
    pg_array_add_text(&a[3], r->detail);
    buf_clear(&l->scratch);
    reject_fields_json(b->entries, r->entry, &l->scratch);
    pg_array_add(&a[4], l->scratch.data, l->scratch.length);
}

static void add_rejections(struct write *w)
{
    struct ledger *l = w->ledger;
    struct pg_statement *s;

    if (w->batch->rejections_count == 0)
        return;
    for (int i = 0; i < 5; i++) {
        pg_array_done(&l->arrays[i]);
        pg_array_init(&l->arrays[i], PG_TEXT);
    }
    for (uint32_t i = 0; i < w->batch->rejections_count; i++)
        put_rejection(l, w->batch, &w->batch->rejections[i]);
    s = next_statement(w, SQL_INSERT_REJECTS);
    pg_add_text(s, l->stream);
    pg_add_text(s, w->numbers[0]);
    for (int i = 0; i < 5; i++)
        pg_add_array(s, &l->arrays[i]);
}

static void add_pending(struct write *w, struct minute_columns *all)
{
    struct pg_statement *s;

    /* One of retractions alone too: until it is folded its minutes still hold what it takes back,
     * and whoever counts them from the raw events must know. */
    if (all == NULL && w->batch->tally.count == 0 && w->batch->recounts.count == 0)
        return;
    s = next_statement(w, SQL_INSERT_PENDING);
    pg_add_text(s, w->numbers[1]);
    pg_add_text(s, w->ledger->stream);
    minute_columns_bind(all != NULL ? all : &w->batch->minutes, s);
}

static void add_recounts(struct write *w)
{
    struct pg_statement *s;

    if (w->batch->recounts.count == 0)
        return;
    s = next_statement(w, SQL_INSERT_RECOUNTS);
    pg_add_text(s, w->ledger->stream);
    recount_columns_bind(&w->batch->recounts, s);
}

/* Rows that others may wait for are touched from here on only, in short statements that leave
 * together. */
static void add_fold(struct write *w, const struct ledger_fold *fold)
{
    if (fold->all != NULL) {
        struct pg_statement *s = next_statement(w, SQL_FORGET_PENDING);

        pg_add_text(s, w->ledger->stream);
        pg_add_text(s, w->numbers[1]);
        pg_add_text(s, put_i64(w->numbers[8], fold->batches));
    }
    w->fold = w->n;
    pg_add_text(next_statement(w, SQL_FOLD), w->ledger->stream);
}

static void add_advance(struct write *w)
{
    const struct ledger *l = w->ledger;
    const struct batch *b = w->batch;
    struct pg_statement *s = next_statement(w, SQL_ADVANCE_STREAM);

    pg_add_text(s, l->stream);
    pg_add_text(s, w->numbers[0]);
    pg_add_text(s, l->owner);
    pg_add_text(s, l->position.last_id);
    pg_add_text(s, w->last_id);
    pg_add_text(s, put_i64(w->numbers[3], b->counted));
    pg_add_text(s, put_i64(w->numbers[4], b->duplicates));
    pg_add_text(s, put_i64(w->numbers[5], b->rejected));
    pg_add_text(s, put_i64(w->numbers[6], b->conflicts));
    snprintf(w->numbers[7], sizeof w->numbers[7], "%llu", (unsigned long long)w->entries_added);
    pg_add_text(s, w->numbers[7]);
    s->binary_result = true;
}

/* The rows are the taker's: see pg_done_fn. */
static void give_totals(struct ledger *l, PGresult **results, int i)
{
    l->on_totals(l->totals_owner, results[i]);
    results[i] = NULL;
}

static void take_commit(void *owner, const struct err *error, PGresult **results, int n)
{
    struct write *w = owner;
    struct ledger *l = w->ledger;
    struct position *p = &l->position;

    if (error == NULL) {
        const PGresult *r = results[n - 1];

        if (w->fold >= 0)
            give_totals(l, results, w->fold);

        p->batches = pg_get_i64(r, 0, 0);
        p->processed += w->batch->to - w->batch->from;
        snprintf(p->last_id, sizeof p->last_id, "%s", w->last_id);
        if (w->entries_added > p->added_seen)
            p->added_seen = w->entries_added;
        l->stored = (struct dedupe_batch){.batch_id = l->next_batch,
                                          .committed_ms = pg_get_time_ms(r, 0, 1),
                                          .day = (int32_t)pg_get_i64(r, 0, 2),
                                          .epoch = p->epoch};
    }
    free(w);
    ledger_finish(l, error);
}

void ledger_commit(struct ledger *l, struct batch *b, const char *last_id, uint64_t entries_added,
                   const struct ledger_fold *fold, ledger_done_fn done, void *owner)
{
    struct write *w = xcalloc(1, sizeof *w);

    ledger_start(l, done, owner, w);
    *w = (struct write){.ledger = l, .batch = b, .entries_added = entries_added, .fold = -1};
    snprintf(w->last_id, sizeof w->last_id, "%s", last_id);
    put_i64(w->numbers[0], l->position.epoch);
    put_i64(w->numbers[1], l->next_batch);
    put_i64(w->numbers[2], l->catalog_version);
    w->statements = xcalloc(STATEMENTS_MAX, sizeof *w->statements);
    add_slices(w);
    add_rejections(w);
    add_pending(w, fold != NULL ? fold->all : NULL);
    add_recounts(w);
    if (fold != NULL)
        add_fold(w, fold);
    add_advance(w);
    pg_run(l->pg, w->statements, w->n, COMMIT_DEADLINE_MS, take_commit, w);
    free(w->statements);
    w->statements = NULL;
}

static void take_fold(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;

    (void)n;
    if (error == NULL)
        give_totals(l, results, 0);
    ledger_finish(l, error);
}

void ledger_fold_left(struct ledger *l, ledger_done_fn done, void *owner)
{
    struct pg_statement s;

    ledger_start(l, done, owner, NULL);
    pg_statement_init(&s, SQL_FOLD_LEFT);
    pg_run(l->pg, &s, 1, COMMIT_DEADLINE_MS, take_fold, l);
}

void ledger_fold(struct ledger *l, ledger_done_fn done, void *owner)
{
    struct pg_statement s;

    ledger_start(l, done, owner, NULL);
    pg_statement_init(&s, SQL_FOLD);
    pg_add_text(&s, l->stream);
    pg_run(l->pg, &s, 1, COMMIT_DEADLINE_MS, take_fold, l);
}
