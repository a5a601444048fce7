/* The one transaction: raw events, rejects, minute sums, their fold into minute rows and totals,
 * and the position last of all.
 *
 * It is one pipeline up to one Sync, so no statement waits for the answer to another. Statements
 * are given as the socket takes them: PostgreSQL stores the first slices while the batch is still
 * being settled. A process that is killed on the way has sent all of it or nothing that counts. One
 * that is frozen while it sends holds no lock that others wait for: until the last statements,
 * which are short and leave together, it has only added rows of its own. */
#include "aggregator/ledger/ledger.h"

#include "aggregator/sql.h"

#include <stdio.h>
#include <stdlib.h>

/* In this order; each may have nothing to say. A fold may have many batches' sums to take over. */
enum step {
    STEP_SLICES,
    STEP_REPEATS,
    STEP_REJECTS,
    STEP_PENDING,
    STEP_RECOUNTS,
    STEP_COVER,
    STEP_FOLD,
    STEP_ADVANCE,
    STEP_END
};
enum {
    PARTS_MAX = 64, /* minute sums go in parts, which needs less memory, on either side */
    PART_ROWS_MIN = 16384,
    STATEMENTS_MAX = SLICES + PARTS_MAX + STEP_END,
    COMMIT_DEADLINE_MS = 120000
};

struct write {
    struct ledger *ledger;
    struct batch *batch;   /* NULL: a fold alone */
    enum step step;        /* the next statement's, … */
    enum step end;         /* … before this one, … */
    int slice;             /* … which of them, … */
    int settled;           /* … and so many are there */
    bool complete;         /* the batch is settled: all else may follow */
    bool has_own_row;      /* in usage_pending, so that the batch waits */
    uint32_t own_written;  /* rows of sums.own */
    uint32_t kept_written; /* and of sums.kept */
    struct ledger_sums sums;
    char last_id[ENTRY_ID_SIZE];
    uint64_t entries_added;
    int sent;       /* statements */
    int fold_at;    /* which of them is the fold */
    char epoch[24]; /* numbers as texts */
    char number[24];
    char catalog_version[24];
    char first_ms[24]; /* of the batch's first and last entry */
    char last_ms[24];
    struct batch_digest_slice row; /* what all slices have */
    struct slices_digest digest;
    char numbers[5][24]; /* of one statement */
    unsigned char times[16];
};

static const char *put_i64(char out[24], int64_t v)
{
    snprintf(out, 24, "%lld", (long long)v);
    return out;
}

static void make_slice(struct write *w, struct pg_statement *s)
{
    struct slice_columns *columns = &w->batch->slices[w->slice];
    pg_statement_init(s, SQL_INSERT_SLICE);
    pg_add_text(s, w->ledger->stream);
    pg_add_text(s, w->epoch);
    pg_add_text(s, w->number);
    pg_add_text(s, w->catalog_version);
    pg_add_text(s, put_i64(w->numbers[0], w->slice));
    pg_add_text(s, put_i64(w->numbers[1], columns->events));
    slice_columns_bind(columns, s, w->times);
    pg_add_text(s, w->first_ms);
    pg_add_text(s, w->last_ms);
}

static void make_repeats(struct write *w, struct pg_statement *s)
{
    pg_statement_init(s, SQL_INSERT_REPEATS);
    pg_add_text(s, w->ledger->stream);
    pg_add_text(s, w->epoch);
    pg_add_text(s, w->number);
    pg_add_text(s, w->last_ms);
    columns_bind(&w->batch->repeats, s);
}

static void make_rejects(struct write *w, struct pg_statement *s)
{
    pg_statement_init(s, SQL_INSERT_REJECTS);
    pg_add_text(s, w->ledger->stream);
    pg_add_text(s, w->epoch);
    reject_columns_fill(&w->ledger->params, w->batch);
    columns_bind(&w->ledger->params, s);
    pg_add_text(s, w->number);
}

static void make_part(struct write *w, struct pg_statement *s, const struct minute_sums *sums,
                      uint32_t *written, const char *number)
{
    struct ledger *l = w->ledger;
    uint32_t from = *written;
    uint32_t part = sums->count / (PARTS_MAX / 2 - 1);
    if (part < PART_ROWS_MIN)
        part = PART_ROWS_MIN;
    *written = sums->count - from < part ? sums->count : from + part;
    minute_columns_fill(&l->minutes, l->catalog, sums, from, *written);
    pg_statement_init(s, SQL_INSERT_PENDING);
    pg_add_text(s, number);
    pg_add_text(s, l->stream);
    columns_bind(&l->minutes, s);
}

static bool has_more_own(const struct write *w)
{
    return w->sums.own && w->own_written < w->sums.own->count;
}

/* The first one is the batch's own row, which tells that it waits. */
static void make_pending(struct write *w, struct pg_statement *s)
{
    bool first = w->batch && !w->has_own_row;
    w->has_own_row = true;
    if (first && !w->sums.own) {
        pg_statement_init(s, SQL_INSERT_UNSUMMED);
        pg_add_text(s, w->number);
        pg_add_text(s, w->ledger->stream);
    } else if (first || has_more_own(w)) {
        make_part(w, s, w->sums.own, &w->own_written, first ? w->number : NULL);
    } else {
        make_part(w, s, w->sums.kept, &w->kept_written, NULL);
    }
}

static void make_recounts(struct write *w, struct pg_statement *s)
{
    pg_statement_init(s, SQL_INSERT_RECOUNTS);
    pg_add_text(s, w->ledger->stream);
    columns_bind(&w->batch->recounts, s);
    pg_add_text(s, w->number);
}

/* Rows that others may wait for are touched from here on only. */
static void make_cover(struct write *w, struct pg_statement *s)
{
    const struct ledger *l = w->ledger;
    int64_t last = w->batch ? l->next_batch - 1 : l->stored.batch_id;
    pg_statement_init(s, SQL_COVER_PENDING);
    pg_add_text(s, l->stream);
    pg_add_text(s, put_i64(w->numbers[0], w->sums.first_batch));
    pg_add_text(s, put_i64(w->numbers[1], last));
    pg_add_text(s, put_i64(w->numbers[2], w->sums.batches));
}

static void make_fold(struct write *w, struct pg_statement *s)
{
    pg_statement_init(s, SQL_FOLD);
    pg_add_text(s, w->ledger->stream);
    pg_add_text(s, w->batch ? w->last_id : w->ledger->position.last_id);
    w->fold_at = w->sent;
}

static void make_advance(struct write *w, struct pg_statement *s)
{
    const struct ledger *l = w->ledger;
    const struct batch *b = w->batch;
    pg_statement_init(s, SQL_ADVANCE_STREAM);
    pg_add_text(s, l->stream);
    pg_add_text(s, w->epoch);
    pg_add_text(s, l->owner);
    pg_add_text(s, l->position.last_id);
    pg_add_text(s, w->last_id);
    pg_add_text(s, put_i64(w->numbers[0], b->counted));
    pg_add_text(s, put_i64(w->numbers[1], b->duplicates));
    pg_add_text(s, put_i64(w->numbers[2], b->rejected));
    pg_add_text(s, put_i64(w->numbers[3], b->conflicts));
    snprintf(w->numbers[4], sizeof w->numbers[4], "%llu", (unsigned long long)w->entries_added);
    pg_add_text(s, w->numbers[4]);
    pg_add_text(s, w->number);
    slices_digest_end(&w->digest);
    pg_add_binary(s, PG_BYTEA, w->digest.digest, sizeof w->digest.digest);
    s->binary_result = true;
}

/* Returns false if that step has nothing to say. */
static bool make_step(struct write *w, enum step step, struct pg_statement *s)
{
    static void (*const MAKE[])(struct write *, struct pg_statement *) = {
        [STEP_SLICES] = make_slice,      [STEP_REPEATS] = make_repeats,
        [STEP_REJECTS] = make_rejects,   [STEP_PENDING] = make_pending,
        [STEP_RECOUNTS] = make_recounts, [STEP_COVER] = make_cover,
        [STEP_FOLD] = make_fold,         [STEP_ADVANCE] = make_advance,
    };
    const struct batch *b = w->batch;
    const bool says[] = {
        [STEP_SLICES] = true,
        [STEP_REPEATS] = b && b->repeats.count > 0,
        [STEP_REJECTS] = b && b->rejections_count > 0,
        [STEP_PENDING] = w->sums.batches > 0 || (b && batch_waits(b)),
        [STEP_RECOUNTS] = b && b->recounts.count > 0,
        [STEP_COVER] = w->sums.batches > 0,
        [STEP_FOLD] = w->sums.fold,
        [STEP_ADVANCE] = true,
    };
    if (!says[step])
        return false;
    MAKE[step](w, s);
    w->sent++;
    return true;
}

static bool next_slice(struct write *w, struct pg_statement *s)
{
    while (w->slice < w->settled) {
        bool has_rows = w->batch->slices[w->slice].events > 0;
        if (has_rows)
            make_step(w, STEP_SLICES, s);
        w->slice++;
        if (has_rows)
            return true;
    }
    return false;
}

static bool has_more_parts(const struct write *w)
{
    return w->step == STEP_PENDING &&
           (has_more_own(w) || (w->sums.batches > 0 && w->kept_written < w->sums.kept->count));
}

static enum pg_more next_statement(void *owner, struct pg_statement *s)
{
    struct write *w = owner;
    if (w->step == STEP_SLICES) {
        if (next_slice(w, s))
            return PG_STATEMENT;
        if (!w->complete)
            return PG_LATER;
        w->step++;
    }
    while (w->step < w->end) {
        bool made = make_step(w, w->step, s);
        if (!made || !has_more_parts(w))
            w->step++;
        if (made)
            return PG_STATEMENT;
    }
    w->ledger->giving = false;
    return PG_END;
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
    if (!error) {
        const PGresult *r = results[n - 1];
        int64_t committed_ms = pg_get_time_ms(r, 0, 1);
        struct entry_id last = entries_id(w->batch->entries, w->batch->to - 1);
        if (w->sums.fold)
            give_totals(l, results, w->fold_at);
        p->batches = pg_get_i64(r, 0, 0);
        p->processed += w->batch->to - w->batch->from;
        snprintf(p->last_id, sizeof p->last_id, "%s", w->last_id);
        if (w->entries_added > p->added_seen)
            p->added_seen = w->entries_added;
        l->stored = (struct dedupe_batch){.batch_id = l->next_batch,
                                          .committed_ms = committed_ms,
                                          .entry_ms = entry_id_time_ms(last, committed_ms),
                                          .day = (int32_t)pg_get_i64(r, 0, 2),
                                          .epoch = p->epoch};
    }
    slices_digest_end(&w->digest);
    free(w);
    ledger_finish(l, error);
}

void ledger_begin(struct ledger *l, struct batch *b, ledger_done_fn done, void *owner)
{
    struct write *w = xcalloc(1, sizeof *w);
    ledger_start(l, done, owner, w);
    *w = (struct write){.ledger = l, .batch = b, .end = STEP_END};
    put_i64(w->epoch, l->position.epoch);
    put_i64(w->number, l->next_batch);
    w->row.catalog_version = (uint64_t)l->catalog_version;
    w->row.entry_first_ms = entry_id_bits(b->entries->list[b->from].ms);
    w->row.entry_last_ms = entry_id_bits(b->entries->list[b->to - 1].ms);
    put_i64(w->catalog_version, l->catalog_version);
    put_i64(w->first_ms, w->row.entry_first_ms);
    put_i64(w->last_ms, w->row.entry_last_ms);
    l->giving = true;
    pg_pull(l->pg, STATEMENTS_MAX, COMMIT_DEADLINE_MS, next_statement, take_commit, w);
}

void ledger_add_slice(struct ledger *l)
{
    struct write *w = l->work;
    w->settled++;
    pg_push(l->pg);
}

void ledger_commit(struct ledger *l, const char *last_id, uint64_t entries_added,
                   struct ledger_sums sums)
{
    struct write *w = l->work;
    w->entries_added = entries_added;
    snprintf(w->last_id, sizeof w->last_id, "%s", last_id);
    w->sums = sums;
    w->complete = true;
    slices_digest_begin(&w->digest, w->batch->slices, &w->row);
    pg_push(l->pg);
}

static void take_fold(void *owner, const struct err *error, PGresult **results, int n)
{
    struct write *w = owner;
    struct ledger *l = w->ledger;
    (void)n;
    if (!error)
        give_totals(l, results, w->fold_at);
    free(w);
    ledger_finish(l, error);
}

/* The position does not move: what fences it is that the batches are there, as they were. */
void ledger_fold(struct ledger *l, struct ledger_sums sums, ledger_done_fn done, void *owner)
{
    struct write *w = xcalloc(1, sizeof *w);
    ledger_start(l, done, owner, w);
    *w = (struct write){.ledger = l, .step = STEP_PENDING, .end = STEP_ADVANCE, .sums = sums};
    l->giving = true;
    pg_pull(l->pg, STATEMENTS_MAX, COMMIT_DEADLINE_MS, next_statement, take_fold, w);
}
