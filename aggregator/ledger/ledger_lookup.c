/* What the ledger holds of a batch already.
 *
 * Repeated keys: candidates of the deduplication table are rows that are known by their place; an
 * event older than the table's window is looked for in the batches that hold its time of use, or
 * ids made in the minute that its own tells.
 *
 * Entries that are read again: most were counted, so that is asked first, and of the others,
 * whether they were rejected or repeats. Whatever is not found was never read. */
#include "aggregator/ledger/ledger.h"

#include "aggregator/sql.h"
#include "aggregator/stream/entries.h"
#include "common/clock.h"

#include <stdlib.h>

/* Long enough for whatever there is: giving up would mean to begin again, for ever. */
enum { SCAN_DEADLINE_MS = 600000 };

bool ledger_must_look_up(const struct batch *b)
{
    return b->candidates_count > 0 || b->old_count > 0;
}

static struct text column(const PGresult *r, int row, int i)
{
    if (PQgetisnull(r, row, i))
        return (struct text){.data = NULL};
    return (struct text){.data = PQgetvalue(r, row, i), .length = (uint32_t)PQgetlength(r, row, i)};
}

/* The columns of read_counted_again.sql, from `at` on; those of read_candidates.sql and
 * read_old_events.sql have the item's number before them. */
static struct stored_row read_stored(const PGresult *r, int row, int at)
{
    struct text quantity = column(r, row, at + 6);
    struct stored_row stored = {.tenant = column(r, row, at),
                                .metric = column(r, row, at + 1),
                                .id = column(r, row, at + (PQgetisnull(r, row, at + 2) ? 3 : 2)),
                                .ms = (uint64_t)strtoll(PQgetvalue(r, row, at + 4), NULL, 10),
                                .seq = (uint64_t)strtoll(PQgetvalue(r, row, at + 5), NULL, 10),
                                .fields = column(r, row, at + 7),
                                .occurred_ms = strtoll(PQgetvalue(r, row, at + 8), NULL, 10),
                                .retracts = atoi(PQgetvalue(r, row, at + 9)),
                                .by_default = *PQgetvalue(r, row, at + 10) == 't'};
    if (dec_parse(quantity.data, quantity.length, &stored.quantity) != 0)
        abort();
    if (!stored.fields.data)
        stored.fields = TEXT("{}");
    return stored;
}

static void confirm_row(struct batch *b, const PGresult *r, int row)
{
    struct stored_row stored = read_stored(r, row, 1);
    batch_confirm(b, (uint32_t)strtoul(PQgetvalue(r, row, 0), NULL, 10), &stored);
}

static void take_stored(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;
    if (!error && l->work)
        for (int i = 0; i < n; i++)
            for (int row = 0; row < PQntuples(results[i]); row++)
                confirm_row(l->work, results[i], row);
    ledger_finish(l, error);
}

static void bind_candidates(struct ledger *l, const struct batch *b, struct pg_statement *s)
{
    struct pg_array *a = l->params.arrays;
    columns_init(&l->params, (const unsigned[]){PG_INT4, PG_INT4, PG_INT8, PG_INT2, PG_INT4}, 5);
    for (uint32_t i = 0; i < b->candidates_count; i++) {
        const struct candidate *c = &b->candidates[i];
        pg_array_add_i32(&a[0], (int32_t)c->item);
        pg_array_add_i32(&a[1], c->day);
        pg_array_add_i64(&a[2], c->batch);
        pg_array_add_i16(&a[3], (int16_t)c->slice);
        pg_array_add_i32(&a[4], (int32_t)c->row + 1);
    }
    pg_statement_init(s, SQL_READ_CANDIDATES);
    columns_bind(&l->params, s);
}

static void add_old(struct pg_array *a, const struct item *item, int32_t number)
{
    const struct event *event = &item->event;
    pg_array_add_i32(&a[0], number);
    pg_array_add_i16(&a[1], event->tenant->slice);
    pg_array_add(&a[2], event->tenant->name.data, event->tenant->name.length);
    pg_array_add(&a[3], event->id.data, event->id.length);
    if (item->old)
        pg_array_add_i64(&a[4], event->occurred_ms);
    else
        pg_array_add_null(&a[4]);
    if (item->id_old)
        pg_array_add_i32(&a[5], (int32_t)(event->id_ms / MINUTE_MS));
    else
        pg_array_add_null(&a[5]);
}

static void bind_old(struct ledger *l, const struct batch *b, struct pg_statement *s,
                     unsigned char before[8])
{
    columns_init(&l->params,
                 (const unsigned[]){PG_INT4, PG_INT2, PG_TEXT, PG_TEXT, PG_INT8, PG_INT4}, 6);
    for (uint32_t i = 0; i < b->items_count; i++)
        if (b->items[i].old || b->items[i].id_old)
            add_old(l->params.arrays, &b->items[i], (int32_t)i);
    pg_statement_init(s, SQL_READ_OLD_EVENTS);
    columns_bind(&l->params, s);
    pg_add_i64(s, b->known_since_ms, before);
}

static void run_old(struct ledger *l)
{
    struct pg_statement s;
    unsigned char before[8];
    bind_old(l, l->work, &s, before);
    pg_run(l->pg, &s, 1, SCAN_DEADLINE_MS, take_stored, l);
}

static void take_candidates(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;
    const struct batch *b = l->work;
    if (error || !b || b->old_count == 0) {
        take_stored(l, error, results, n);
        return;
    }
    for (int row = 0; row < PQntuples(results[0]); row++)
        confirm_row(l->work, results[0], row);
    run_old(l);
}

void ledger_lookup(struct ledger *l, struct batch *b, ledger_done_fn done, void *owner)
{
    ledger_start(l, done, owner, b);
    if (b->candidates_count == 0) {
        run_old(l);
        return;
    }
    struct pg_statement s;
    bind_candidates(l, b, &s);
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_candidates, l);
}

static void on_counted(void *owner, const PGresult *r)
{
    struct ledger *l = owner;
    struct batch *b = l->work;
    if (!b)
        return;
    struct stored_row row = read_stored(r, 0, 0);
    int64_t entry = batch_find_entry(b, (struct entry_id){.ms = row.ms, .seq = row.seq});
    if (entry >= 0 && batch_is_row(b, (uint32_t)entry, &row))
        batch_note_again(b, (uint32_t)entry);
}

static void note_content(struct batch *b, struct entry_id id, const char *content)
{
    int64_t entry = batch_find_entry(b, id);
    if (entry >= 0 && strtoll(content, NULL, 10) == entry_content(b->entries, (uint32_t)entry))
        batch_note_again(b, (uint32_t)entry);
}

static void take_others(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;
    struct batch *b = l->work;
    (void)n;
    if (error || !b) {
        ledger_finish(l, error);
        return;
    }
    struct entry_id id;
    for (int row = 0; row < PQntuples(results[0]); row++) {
        id.ms = (uint64_t)strtoll(PQgetvalue(results[0], row, 0), NULL, 10);
        id.seq = (uint64_t)strtoll(PQgetvalue(results[0], row, 1), NULL, 10);
        note_content(b, id, PQgetvalue(results[0], row, 2));
    }
    for (int row = 0; row < PQntuples(results[1]); row++)
        if (entry_id_parse(PQgetvalue(results[1], row, 0), &id) == 0)
            note_content(b, id, PQgetvalue(results[1], row, 1));
    ledger_finish(l, NULL);
}

/* First and last of the entries that may have been read before. */
static void bind_range(struct pg_statement *s, const struct ledger *l, const struct batch *b,
                       unsigned char numbers[2][8])
{
    const struct entry *first = &b->entries->list[b->from];
    pg_add_text(s, l->stream);
    pg_add_i64(s, entry_id_bits(first->ms), numbers[0]);
    pg_add_i64(s, entry_id_bits(first[batch_again_count(b) - 1].ms), numbers[1]);
}

static void list_unknown(struct ledger *l, const struct batch *b)
{
    uint32_t end = b->from + batch_again_count(b);
    columns_init(&l->params, (const unsigned[]){PG_TEXT}, 1);
    char text[ENTRY_ID_TEXT_SIZE];
    for (uint32_t i = b->from; i < end; i++) {
        if (batch_is_again(b, i))
            continue;
        entry_id_format(entries_id(b->entries, i), text);
        pg_array_add_text(&l->params.arrays[0], text);
    }
}

static void run_others(struct ledger *l)
{
    const struct batch *b = l->work;
    struct pg_statement s[2];
    pg_statement_init(&s[0], SQL_READ_REPEATED_AGAIN);
    unsigned char numbers[2][8];
    bind_range(&s[0], l, b, numbers);
    list_unknown(l, b);
    pg_statement_init(&s[1], SQL_READ_REJECTED_AGAIN);
    pg_add_text(&s[1], l->stream);
    columns_bind(&l->params, &s[1]);
    pg_run(l->pg, s, 2, SCAN_DEADLINE_MS, take_others, l);
}

static void take_counted(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;
    const struct batch *b = l->work;
    (void)results;
    (void)n;
    if (!error && b && b->again_count < batch_again_count(b))
        run_others(l);
    else
        ledger_finish(l, error);
}

void ledger_find_again(struct ledger *l, struct batch *b, ledger_done_fn done, void *owner)
{
    ledger_start(l, done, owner, b);
    struct pg_statement s;
    pg_statement_init(&s, SQL_READ_COUNTED_AGAIN);
    unsigned char numbers[2][8];
    bind_range(&s, l, b, numbers);
    pg_stream(l->pg, &s, SCAN_DEADLINE_MS, on_counted, take_counted, l);
}
