#include "sink/claim/claim_query.h"

#include "common/str.h"
#include "sink/sql.h"
#include "sink/transport/transport.h"

#include <stdlib.h>

void claim_cursor_set(struct claim_cursor *c, const struct claim_key *key)
{
    struct claim_cursor fresh = {xstrdup(key->tenant), xstrdup(key->metric), key->period_start_us};
    claim_cursor_done(c);
    *c = fresh;
}

void claim_cursor_reset(struct claim_cursor *c)
{
    const struct claim_key before_all = {"", "", INT64_MIN}; /* -infinity */
    claim_cursor_set(c, &before_all);
}

struct claim_key claim_cursor_key(const struct claim_cursor *c)
{
    return (struct claim_key){c->tenant, c->metric, c->period_start_us};
}

void claim_cursor_done(struct claim_cursor *c)
{
    free(c->tenant);
    free(c->metric);
}

int claim_query_lock(struct pg_statement out[LOCK_STATEMENTS], struct claim_lock *lock)
{
    pg_statement_init(&out[0], "begin");
    pg_statement_init(&out[1], SQL_LOCK_CLAIMS);
    pg_add_text(&out[1], lock->run);
    pg_add_text(&out[1], lock->all ? "off" : "on");
    pg_add_i64(&out[1], lock->half, lock->number);
    out[1].binary_result = true;
    pg_statement_init(&out[2], SQL_READ_TERMS);
    out[2].binary_result = true;
    return LOCK_STATEMENTS;
}

static void add_parameters(struct claim_query *q, struct pg_statement *s)
{
    pg_add_text(s, q->after->tenant);
    pg_add_text(s, q->after->metric);
    pg_add_i64(s, q->after->period_start_us, q->numbers[0]);
    s->types[2] = PG_TIMESTAMPTZ; /* whose bytes are those of its microseconds */
    pg_add_i64(s, q->rows, q->numbers[1]);
    pg_array_init(&q->transports, PG_TEXT);
    for (int i = 0; TRANSPORTS[i]; i++)
        pg_array_add_text(&q->transports, TRANSPORTS[i]->name);
    pg_add_array(s, &q->transports);
    if (q->tenants)
        pg_add_array(s, q->tenants);
    else
        pg_add_text(s, NULL);
    pg_add_i64(s, q->half, q->numbers[2]);
    pg_add_i64(s, q->hold, q->numbers[3]);
    s->binary_result = true;
}

int claim_query_page(struct claim_query *q, struct pg_statement out[PAGE_STATEMENTS])
{
    int n = 0;
    bool dirty = q->pass == CLAIM_DIRTY;
    if (!dirty) {
        pg_statement_init(&out[n], SQL_PART_HELD);
        pg_add_i64(&out[n++], q->half, q->numbers[2]);
    }
    pg_statement_init(&out[n], dirty ? SQL_READ_DIRTY : SQL_READ_CARRIED);
    add_parameters(q, &out[n++]);
    return n;
}

void claim_query_done(struct claim_query *q)
{
    pg_array_done(&q->transports);
}
