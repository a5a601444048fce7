/* One page of dirty totals. */
#include "sink/claim_batch.h"

#include "common/log.h"
#include "sink/identifier.h"
#include "sink/sql.h"
#include "sink/transport.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Columns of read_dirty.sql. */
enum {
    TENANT,
    METRIC,
    PERIOD_START,
    PERIOD_END,
    QUANTITY,
    VERSION,
    ADDITIVE,
    TRANSPORT,
    EVENT_NAME,
    CUSTOMER,
    OUTSIDE,
    STARTED_AT,
    INVOICE_FINAL,
    CLAIMED,
    CLAIMS,
    FIRST_AT,
    LAST_AT,
    FREE_AT,
    PERIODS_VERSION,
    RESUMMED
};

static const unsigned SUBMISSION_TYPES[SUBMISSION_COLUMNS] = {
    PG_TEXT,        PG_TEXT, PG_TEXT,        PG_TEXT,    PG_TEXT, PG_TEXT,
    PG_TIMESTAMPTZ, PG_INT8, PG_TIMESTAMPTZ, PG_NUMERIC, PG_TEXT, PG_TEXT};
static const unsigned CLAIM_TYPES[CLAIM_COLUMNS] = {PG_TEXT,        PG_TEXT,        PG_TIMESTAMPTZ,
                                                    PG_INT8,        PG_NUMERIC,     PG_INT8,
                                                    PG_TIMESTAMPTZ, PG_TIMESTAMPTZ, PG_INT8};

void claim_batch_init(struct claim_batch *b)
{
    *b = (struct claim_batch){0};
    for (int i = 0; i < SUBMISSION_COLUMNS; i++)
        pg_array_init(&b->submissions[i], SUBMISSION_TYPES[i]);
    for (int i = 0; i < CLAIM_COLUMNS; i++)
        pg_array_init(&b->claims[i], CLAIM_TYPES[i]);
}

void claim_batch_clear(struct claim_batch *b)
{
    for (int i = 0; i < SUBMISSION_COLUMNS; i++)
        pg_array_clear(&b->submissions[i]);
    for (int i = 0; i < CLAIM_COLUMNS; i++)
        pg_array_clear(&b->claims[i]);
    memset(b->counts, 0, sizeof b->counts);
    b->late = b->refused = 0;
}

void claim_batch_done(struct claim_batch *b)
{
    for (int i = 0; i < SUBMISSION_COLUMNS; i++)
        pg_array_done(&b->submissions[i]);
    for (int i = 0; i < CLAIM_COLUMNS; i++)
        pg_array_done(&b->claims[i]);
}

static int64_t get_time(const PGresult *r, int row, int column)
{
    return PQgetisnull(r, row, column) ? 0 : pg_get_time_ms(r, row, column);
}

/* NaN and sums of more than 38 digits do not come from our own stages; such a row is refused. */
static int get_dec(const PGresult *r, int row, int column, struct dec *out)
{
    const unsigned char *data = (const unsigned char *)PQgetvalue(r, row, column);
    return dec_from_pg(data, (size_t)PQgetlength(r, row, column), out);
}

static int read_total(const PGresult *r, int row, struct claim_total *t)
{
    *t = (struct claim_total){
        .period_start_ms = pg_get_time_ms(r, row, PERIOD_START),
        .period_end_ms = pg_get_time_ms(r, row, PERIOD_END),
        .version = pg_get_i64(r, row, VERSION),
        .additive = pg_get_i64(r, row, ADDITIVE),
        .outside = pg_get_i64(r, row, OUTSIDE),
        .subscription_start_ms = get_time(r, row, STARTED_AT),
        .invoice_final = pg_get_i64(r, row, INVOICE_FINAL),
        .claims = pg_get_i64(r, row, CLAIMS),
        .first_ms = get_time(r, row, FIRST_AT),
        .last_ms = get_time(r, row, LAST_AT),
        .free_ms = get_time(r, row, FREE_AT),
    };
    return get_dec(r, row, QUANTITY, &t->quantity) || get_dec(r, row, CLAIMED, &t->claimed) ? -1
                                                                                            : 0;
}

static void add_time(struct pg_array *a, int64_t unix_ms)
{
    if (unix_ms == 0)
        pg_array_add_null(a);
    else
        pg_array_add_time_ms(a, unix_ms);
}

static void add_claim(struct claim_batch *b, const PGresult *r, int row, const struct claim *c)
{
    struct pg_array *to = b->claims;
    pg_array_add_text(to++, PQgetvalue(r, row, TENANT));
    pg_array_add_text(to++, PQgetvalue(r, row, METRIC));
    pg_array_add_time_ms(to++, pg_get_time_ms(r, row, PERIOD_START));
    pg_array_add_i64(to++, c->version);
    pg_array_add_dec(to++, c->claimed);
    pg_array_add_i64(to++, c->claims);
    add_time(to++, c->first_ms);
    add_time(to++, c->last_ms);
    pg_array_add_i64(to++, pg_get_i64(r, row, PERIODS_VERSION));
}

static void make_body(struct buf *body, const PGresult *r, int row, const struct claim *c,
                      const char *identifier)
{
    const struct transport *t = transport_find(PQgetvalue(r, row, TRANSPORT));
    assert(t); /* the statement was asked for ours alone */
    const struct usage usage = {
        .event_name = PQgetvalue(r, row, EVENT_NAME),
        .customer = PQgetvalue(r, row, CUSTOMER),
        .quantity = c->quantity,
        .identifier = identifier,
        .usage_at_s = c->usage_at_ms / 1000,
    };
    t->make_body(body, &usage);
}

static void add_submission(struct claim_batch *b, const PGresult *r, int row, const struct claim *c)
{
    struct pg_array *to = b->submissions;
    char identifier[IDENTIFIER_SIZE];
    struct buf body = {0};
    int64_t start_ms = pg_get_time_ms(r, row, PERIOD_START);
    identifier_make(PQgetvalue(r, row, CUSTOMER), PQgetvalue(r, row, EVENT_NAME), start_ms / 1000,
                    c->claims, identifier);
    make_body(&body, r, row, c, identifier);
    pg_array_add_text(to++, identifier);
    pg_array_add_text(to++, PQgetvalue(r, row, TENANT));
    pg_array_add_text(to++, PQgetvalue(r, row, METRIC));
    pg_array_add_text(to++, PQgetvalue(r, row, TRANSPORT));
    pg_array_add_text(to++, PQgetvalue(r, row, CUSTOMER));
    pg_array_add_text(to++, PQgetvalue(r, row, EVENT_NAME));
    pg_array_add_time_ms(to++, start_ms);
    pg_array_add_i64(to++, c->claims);
    pg_array_add_time_ms(to++, c->usage_at_ms);
    pg_array_add_dec(to++, c->quantity);
    pg_array_add_text(to++, body.data);
    pg_array_add_text(to++, c->late ? "late" : "pending");
    b->late += c->late;
    buf_done(&body);
}

static void decide(struct claim_batch *b, const PGresult *rows, int row,
                   const struct claim_total *total, int64_t now_ms)
{
    struct claim claim;
    enum claim_decision decision = claim_rule_decide(total, now_ms, &claim);
    b->counts[decision]++;
    if (decision == CLAIM_MAKE)
        add_submission(b, rows, row, &claim);
    /* Usage that lies in another period now must not be held against this one any more. */
    if (decision == CLAIM_MAKE || decision == CLAIM_MARK || pg_get_i64(rows, row, RESUMMED))
        add_claim(b, rows, row, &claim);
}

void claim_batch_fill(struct claim_batch *b, const PGresult *rows, int64_t now_ms)
{
    for (int row = 0; row < PQntuples(rows); row++) {
        struct claim_total total;
        if (read_total(rows, row, &total) == 0) {
            decide(b, rows, row, &total, now_ms);
            continue;
        }
        b->refused++;
        log_error("claim_refused", LOG_STR("tenant", PQgetvalue(rows, row, TENANT)),
                  LOG_STR("metric", PQgetvalue(rows, row, METRIC)),
                  LOG_MSG("the total is not a number of up to 38 digits"));
    }
}

static void add_arrays(struct pg_statement *s, struct pg_array *arrays, int n)
{
    for (int i = 0; i < n; i++)
        pg_add_array(s, &arrays[i]);
}

int claim_batch_statements(struct claim_batch *b, struct pg_statement out[2])
{
    int n = 0;
    if (b->submissions[0].count > 0) {
        pg_statement_init(&out[n], SQL_INSERT_SUBMISSIONS);
        add_arrays(&out[n++], b->submissions, SUBMISSION_COLUMNS);
    }
    if (b->claims[0].count > 0) {
        pg_statement_init(&out[n], SQL_UPSERT_CLAIMS);
        add_arrays(&out[n++], b->claims, CLAIM_COLUMNS);
    }
    return n;
}

struct claim_key claim_batch_key(const PGresult *rows, int row)
{
    return (struct claim_key){
        .tenant = PQgetvalue(rows, row, TENANT),
        .metric = PQgetvalue(rows, row, METRIC),
        .period_start_us = pg_get_i64(rows, row, PERIOD_START),
    };
}

void claim_place_set(struct claim_place *p, const struct claim_key *key)
{
    struct claim_place fresh = {xstrdup(key->tenant), xstrdup(key->metric), key->period_start_us};
    claim_place_done(p);
    *p = fresh;
}

void claim_place_done(struct claim_place *p)
{
    free(p->tenant);
    free(p->metric);
}
