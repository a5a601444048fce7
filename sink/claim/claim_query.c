/* The statements by which a page of claims begins. */
#include "sink/claim/claim_query.h"

#include "sink/sql.h"
#include "sink/transport/transport.h"

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

static void add_transports(struct pg_statement *s, struct pg_array *names)
{
    pg_array_init(names, PG_TEXT);
    for (int i = 0; TRANSPORTS[i]; i++)
        pg_array_add_text(names, TRANSPORTS[i]->name);
    pg_add_array(s, names);
}

static void add_parameters(struct claim_query *r, struct pg_statement *s)
{
    pg_add_text(s, r->after->tenant);
    pg_add_text(s, r->after->metric);
    pg_add_i64(s, r->after->period_start_us, r->start);
    s->types[2] = PG_TIMESTAMPTZ; /* whose bytes are those of its microseconds */
    pg_add_i64(s, r->rows, r->limit);
    add_transports(s, &r->transports);
    if (r->tenants)
        pg_add_array(s, r->tenants);
    else
        pg_add_text(s, NULL);
    pg_add_i64(s, r->half, r->number);
    pg_add_i64(s, r->hold, r->held);
    s->binary_result = true;
}

int claim_query_page(struct claim_query *r, struct pg_statement out[READ_STATEMENTS])
{
    int n = 0;
    bool dirty = r->pass == CLAIM_DIRTY;
    if (!dirty) {
        pg_statement_init(&out[n], SQL_PART_HELD);
        pg_add_i64(&out[n++], r->half, r->number);
    }
    pg_statement_init(&out[n], dirty ? SQL_READ_DIRTY : SQL_READ_CARRIED);
    add_parameters(r, &out[n++]);
    return n;
}

void claim_query_done(struct claim_query *r)
{
    pg_array_done(&r->transports);
}
