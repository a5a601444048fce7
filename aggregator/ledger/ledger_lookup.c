/* Is a repeated key really in the ledger? Candidates of the table are rows that are known by place;
 * an event older than the table's window is looked for in the batches that hold its time of use, or
 * ids made in the minute that its own tells. */
#include "aggregator/ledger/ledger.h"

#include "aggregator/sql.h"
#include "common/clock.h"

#include <stdlib.h>

/* Long enough for whatever there is: giving up would mean to begin again, for ever. */
enum { OLD_DEADLINE_MS = 600000 };

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

static void take_row(struct batch *b, const PGresult *r, int row)
{
    uint32_t item = (uint32_t)strtoul(PQgetvalue(r, row, 0), NULL, 10);
    struct text quantity = column(r, row, 7);
    struct stored_row stored = {.tenant = column(r, row, 1),
                                .metric = column(r, row, 2),
                                .id = column(r, row, PQgetisnull(r, row, 3) ? 4 : 3),
                                .ms = (uint64_t)strtoll(PQgetvalue(r, row, 5), NULL, 10),
                                .seq = (uint64_t)strtoll(PQgetvalue(r, row, 6), NULL, 10),
                                .fields = column(r, row, 8),
                                .occurred_ms = strtoll(PQgetvalue(r, row, 9), NULL, 10),
                                .retracts = atoi(PQgetvalue(r, row, 10)),
                                .by_default = *PQgetvalue(r, row, 11) == 't'};

    if (dec_parse(quantity.data, quantity.length, &stored.quantity) != 0)
        abort();
    if (stored.fields.data == NULL)
        stored.fields = TEXT("{}");
    batch_confirm(b, item, &stored);
}

static void take_stored(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;

    if (error == NULL && l->work != NULL)
        for (int i = 0; i < n; i++)
            for (int row = 0; row < PQntuples(results[i]); row++)
                take_row(l->work, results[i], row);
    ledger_finish(l, error);
}

static void use_arrays(struct ledger *l, int first, const unsigned *types, int n)
{
    for (int i = 0; i < n; i++) {
        pg_array_done(&l->arrays[first + i]);
        pg_array_init(&l->arrays[first + i], types[i]);
    }
}

static void bind_candidates(struct ledger *l, const struct batch *b, struct pg_statement *s)
{
    use_arrays(l, 0, (const unsigned[]){PG_INT4, PG_INT4, PG_INT8, PG_INT2, PG_INT4}, 5);
    for (uint32_t i = 0; i < b->candidates_count; i++) {
        const struct candidate *c = &b->candidates[i];

        pg_array_add_i32(&l->arrays[0], (int32_t)c->item);
        pg_array_add_i32(&l->arrays[1], c->day);
        pg_array_add_i64(&l->arrays[2], c->batch);
        pg_array_add_i16(&l->arrays[3], (int16_t)c->slice);
        pg_array_add_i32(&l->arrays[4], (int32_t)c->row + 1);
    }
    pg_statement_init(s, SQL_READ_CANDIDATES);
    for (int i = 0; i < 5; i++)
        pg_add_array(s, &l->arrays[i]);
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
    if (item->told)
        pg_array_add_i32(&a[5], (int32_t)(event->id_ms / MINUTE_MS));
    else
        pg_array_add_null(&a[5]);
}

static void bind_old(struct ledger *l, const struct batch *b, struct pg_statement *s,
                     unsigned char before[8])
{
    use_arrays(l, 0, (const unsigned[]){PG_INT4, PG_INT2, PG_TEXT, PG_TEXT, PG_INT8, PG_INT4}, 6);
    for (uint32_t i = 0; i < b->items_count; i++)
        if (b->items[i].old || b->items[i].told)
            add_old(l->arrays, &b->items[i], (int32_t)i);
    pg_statement_init(s, SQL_READ_OLD_EVENTS);
    for (int i = 0; i < 6; i++)
        pg_add_array(s, &l->arrays[i]);
    pg_add_i64(s, b->known_since_ms, before);
}

static void run_old(struct ledger *l)
{
    struct pg_statement s;
    unsigned char before[8];

    bind_old(l, l->work, &s, before);
    pg_run(l->pg, &s, 1, OLD_DEADLINE_MS, take_stored, l);
}

static void take_candidates(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;
    const struct batch *b = l->work;

    if (error != NULL || b == NULL || b->old_count == 0) {
        take_stored(l, error, results, n);
        return;
    }
    for (int row = 0; row < PQntuples(results[0]); row++)
        take_row(l->work, results[0], row);
    run_old(l);
}

void ledger_lookup(struct ledger *l, struct batch *b, ledger_done_fn done, void *owner)
{
    struct pg_statement s;

    ledger_start(l, done, owner, b);
    if (b->candidates_count == 0) {
        run_old(l);
        return;
    }
    bind_candidates(l, b, &s);
    pg_run(l->pg, &s, 1, LEDGER_DEADLINE_MS, take_candidates, l);
}
