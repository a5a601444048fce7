#include "sink/claim/claim_page.h"

#include "common/log.h"
#include "common/stripe/identifier.h"
#include "sink/sql.h"
#include "sink/transport/transport.h"

#include <assert.h>
#include <string.h>

enum { MOST_PARTS = 16 }; /* of one total at a time, so that none fills the page's memory */

/* Columns of read_dirty.sql and read_carried.sql. */
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
    ITEM,
    OUTSIDE,
    UNMAPPED,
    BILLED_FROM,
    INVOICE_FINAL,
    CLAIMED,
    HELD,
    CLAIMS,
    FIRST_AT,
    LAST_AT,
    FREE_AT,
    PERIODS_VERSION,
    RESUMMED,
    REPLACED,
    CARRIED_FROM,
    PLACE_CUSTOMER,
    PLACE_EVENT_NAME,
    PLACE_UNITS
};

/* Where a claim goes. */
struct target {
    const struct transport *transport;
    const char *event_name;
    const char *customer;
    const char *item; /* of the subscription, or NULL */
};

/* One row. Texts are borrowed from the result. Times are Unix ms. */
struct row {
    struct claim_total total;
    const char *tenant;
    const char *metric;
    struct target target; /* as the tenant is billed now … */
    struct target place; /* … and where a negative difference is subtracted: the same, or where the
                            tenant was billed before */
    int64_t periods_version;
    bool resummed;        /* what was claimed was summed up anew: it is to be written */
    const char *replaced; /* array of identifiers that the claim replaces; NULL for none */
    int replaced_bytes;
    bool carried;            /* a late one that is carried over into the total's period … */
    int64_t carried_from_ms; /* … from the one that begins then */
};

static const unsigned SUBMISSION_TYPES[SUBMISSION_COLUMNS] = {
    PG_TEXT,        PG_TEXT, PG_TEXT,        PG_TEXT,    PG_TEXT, PG_TEXT, PG_TEXT,
    PG_TIMESTAMPTZ, PG_INT8, PG_TIMESTAMPTZ, PG_NUMERIC, PG_TEXT, PG_TEXT, PG_BOOL};
static const unsigned CLAIM_TYPES[CLAIM_COLUMNS] = {PG_TEXT,        PG_TEXT,        PG_TIMESTAMPTZ,
                                                    PG_INT8,        PG_NUMERIC,     PG_INT8,
                                                    PG_TIMESTAMPTZ, PG_TIMESTAMPTZ, PG_INT8};
static const unsigned CARRY_TYPES[CARRY_COLUMNS] = {PG_TEXT, PG_TEXT,        PG_TIMESTAMPTZ,
                                                    PG_INT8, PG_TIMESTAMPTZ, PG_TIMESTAMPTZ};

static const char *const STATES[] = {
    [CLAIM_PENDING] = "pending", [CLAIM_HELD] = "held", [CLAIM_LATE] = "late"};

/* Reading a row. */

static int64_t get_time(const PGresult *r, int row, int column)
{
    return PQgetisnull(r, row, column) ? 0 : pg_get_time_ms(r, row, column);
}

static const char *get_text(const PGresult *r, int row, int column)
{
    return PQgetisnull(r, row, column) ? NULL : PQgetvalue(r, row, column);
}

/* NULL is 0. */
static int get_dec(const PGresult *r, int row, int column, struct dec *out)
{
    const unsigned char *data = (const unsigned char *)PQgetvalue(r, row, column);
    if (PQgetisnull(r, row, column))
        return 0;
    return dec_from_pg(data, (size_t)PQgetlength(r, row, column), out);
}

/* Returns -1 if a number is not one of up to 38 digits, which our own stages never write. */
static int read_total(const PGresult *r, int row, struct claim_total *t)
{
    *t = (struct claim_total){
        .period_start_ms = pg_get_time_ms(r, row, PERIOD_START),
        .period_end_ms = pg_get_time_ms(r, row, PERIOD_END),
        .version = pg_get_i64(r, row, VERSION),
        .additive = pg_get_i64(r, row, ADDITIVE),
        .outside = pg_get_i64(r, row, OUTSIDE),
        .unmapped = pg_get_i64(r, row, UNMAPPED),
        .billed_from_ms = get_time(r, row, BILLED_FROM),
        .invoice_final = pg_get_i64(r, row, INVOICE_FINAL),
        .has_held = !PQgetisnull(r, row, HELD),
        .claims = pg_get_i64(r, row, CLAIMS),
        .first_ms = get_time(r, row, FIRST_AT),
        .last_ms = get_time(r, row, LAST_AT),
        .free_ms = get_time(r, row, FREE_AT),
    };
    bool read = !get_dec(r, row, QUANTITY, &t->quantity) &&
                !get_dec(r, row, CLAIMED, &t->claimed) && !get_dec(r, row, HELD, &t->held) &&
                !get_dec(r, row, PLACE_UNITS, &t->place_units);
    return read ? 0 : -1;
}

/* A meter, whatever the tenant's usage goes to now: nothing else takes what is negative. */
static struct target read_place(const PGresult *r, int row, const struct target *now)
{
    if (PQgetisnull(r, row, PLACE_CUSTOMER))
        return *now;
    return (struct target){
        .transport = now->transport->takes_negative ? now->transport : &TRANSPORT_METER_EVENTS,
        .event_name = PQgetvalue(r, row, PLACE_EVENT_NAME),
        .customer = PQgetvalue(r, row, PLACE_CUSTOMER),
    };
}

static int read_row(const PGresult *r, int row, struct row *out)
{
    *out = (struct row){
        .tenant = PQgetvalue(r, row, TENANT),
        .metric = PQgetvalue(r, row, METRIC),
        .target = {.transport = transport_find(PQgetvalue(r, row, TRANSPORT)),
                   .event_name = PQgetvalue(r, row, EVENT_NAME),
                   .customer = PQgetvalue(r, row, CUSTOMER),
                   .item = get_text(r, row, ITEM)},
        .periods_version = pg_get_i64(r, row, PERIODS_VERSION),
        .resummed = pg_get_i64(r, row, RESUMMED),
        .replaced = get_text(r, row, REPLACED),
        .replaced_bytes = PQgetlength(r, row, REPLACED),
        .carried = !PQgetisnull(r, row, CARRIED_FROM),
        .carried_from_ms = get_time(r, row, CARRIED_FROM),
    };
    assert(out->target.transport); /* the query names this build's transports */
    out->place = read_place(r, row, &out->target);
    int failed = read_total(r, row, &out->total);
    out->total.takes_negative = out->target.transport->takes_negative;
    out->total.ends_with_period = out->target.transport->ends_with_period;
    return failed;
}

struct claim_key claim_page_key(const PGresult *rows, int row)
{
    return (struct claim_key){
        .tenant = PQgetvalue(rows, row, TENANT),
        .metric = PQgetvalue(rows, row, METRIC),
        .period_start_us = pg_get_i64(rows, row, PERIOD_START),
    };
}

static const struct target *target_of(const struct row *row, const struct claim *claim)
{
    bool subtracts = row->total.additive && dec_cmp(claim->quantity, DEC_ZERO) < 0;
    return subtracts ? &row->place : &row->target;
}

/* The period that it counts for. */
static int64_t period_of(const struct row *row)
{
    return row->carried ? row->carried_from_ms : row->total.period_start_ms;
}

/* Writing what was decided into the arrays. */

static void add_time(struct pg_array *a, int64_t unix_ms)
{
    if (unix_ms == 0)
        pg_array_add_null(a);
    else
        pg_array_add_time_ms(a, unix_ms);
}

static void add_claim(struct claim_page *p, const struct row *row, const struct claim *c)
{
    struct pg_array *to = p->claims;
    pg_array_add_text(to++, row->tenant);
    pg_array_add_text(to++, row->metric);
    pg_array_add_time_ms(to++, row->total.period_start_ms);
    pg_array_add_i64(to++, c->version);
    pg_array_add_dec(to++, c->claimed);
    pg_array_add_i64(to++, c->claims);
    add_time(to++, c->first_ms);
    add_time(to++, c->last_ms);
    pg_array_add_i64(to++, row->periods_version);
}

static void add_carry(struct claim_page *p, const struct row *row, const struct claim *c)
{
    struct pg_array *to = p->carries;
    pg_array_add_text(to++, row->tenant);
    pg_array_add_text(to++, row->metric);
    pg_array_add_time_ms(to++, row->carried_from_ms);
    pg_array_add_i64(to++, c->claims);
    pg_array_add_time_ms(to++, row->total.period_start_ms);
    pg_array_add_time_ms(to++, c->usage_at_ms);
}

static void make_identifier(const struct row *row, const struct claim *c, int64_t era,
                            char out[IDENTIFIER_SIZE])
{
    const struct target *target = target_of(row, c);
    const struct identifier_parts parts = {
        .customer = target->customer,
        .event_name = target->event_name,
        .tenant = row->tenant,
        .metric = row->metric,
        .period_start_s = period_of(row) / 1000,
        .claim = c->claims,
        .era = era,
    };
    identifier_make(&parts, out);
}

static void make_body(const struct target *target, const struct claim *c, const char *identifier,
                      struct buf *body)
{
    const struct usage usage = {
        .event_name = target->event_name,
        .customer = target->customer,
        .subscription_item = target->item,
        .quantity = c->quantity,
        .identifier = identifier,
        .usage_at_s = c->usage_at_ms / 1000,
    };
    target->transport->make_body(body, &usage);
}

static void add_submission(struct claim_page *p, const struct row *row, const struct claim *c,
                           int64_t era)
{
    const struct target *target = target_of(row, c);
    struct pg_array *to = p->submissions;
    char identifier[IDENTIFIER_SIZE];
    struct buf body = {0};
    make_identifier(row, c, era, identifier);
    make_body(target, c, identifier, &body);
    pg_array_add_text(to++, identifier);
    pg_array_add_text(to++, row->tenant);
    pg_array_add_text(to++, row->metric);
    pg_array_add_text(to++, target->transport->name);
    pg_array_add_text(to++, target->customer);
    pg_array_add_text(to++, target->event_name);
    if (target->item)
        pg_array_add_text(to++, target->item);
    else
        pg_array_add_null(to++);
    pg_array_add_time_ms(to++, period_of(row));
    pg_array_add_i64(to++, c->claims);
    pg_array_add_time_ms(to++, c->usage_at_ms);
    pg_array_add_dec(to++, c->quantity);
    pg_array_add_text(to++, body.data);
    pg_array_add_text(to++, STATES[c->state]);
    pg_array_add(to++, row->carried ? "\1" : "\0", 1);
    buf_done(&body);
}

static void add_replaced(struct claim_page *p, const struct row *row)
{
    struct pg_array_reader reader;
    const unsigned char *identifier;
    size_t length;
    if (!row->replaced || pg_array_read(&reader, row->replaced, (size_t)row->replaced_bytes))
        return;
    while (pg_array_next(&reader, &identifier, &length))
        pg_array_add(&p->replaced, identifier, length);
}

/* Deciding. */

static enum claim_decision decide_part(struct claim_page *p, const struct row *row,
                                       struct claim_time at, struct claim *claim)
{
    enum claim_decision decision = claim_rule_decide(&row->total, at.now_ms, claim);
    p->counts[decision]++;
    if (claim->voids_held || (row->carried && decision == CLAIM_MAKE))
        add_replaced(p, row);
    if (decision != CLAIM_MAKE)
        return decision;
    add_submission(p, row, claim, at.era);
    p->late += claim->state == CLAIM_LATE;
    p->held += claim->state == CLAIM_HELD;
    p->carried += row->carried;
    if (row->carried)
        add_carry(p, row, claim);
    return decision;
}

static void refuse_value(struct claim_page *p, const struct row *row)
{
    char value[DEC_TEXT_SIZE];
    dec_format(row->total.quantity, value);
    p->refused++;
    log_error(claim_refused, LOG_STR("tenant", row->tenant), LOG_STR("metric", row->metric),
              LOG_STR("value", value), LOG_MSG("Stripe takes no value of more than 15 digits"));
}

/* What is too long for one submission becomes several, each in a minute of its own. */
static void decide(struct claim_page *p, struct row *row, struct claim_time at)
{
    struct claim claim;
    enum claim_decision decision = decide_part(p, row, at, &claim);
    bool looked = decision == CLAIM_MAKE || decision == CLAIM_MARK || decision == CLAIM_TOO_LARGE;
    if (decision == CLAIM_TOO_LARGE)
        refuse_value(p, row);
    for (int parts = 1; claim.split && parts < MOST_PARTS; parts++) {
        claim_rule_apply(&row->total, &claim);
        decide_part(p, row, at, &claim);
    }
    p->split += claim.split || claim.elsewhere;
    /* Usage that lies in another period now must not be held against this one any more. */
    if ((looked || row->resummed) && !row->carried)
        add_claim(p, row, &claim);
}

void claim_page_fill(struct claim_page *p, const PGresult *rows, struct claim_time at)
{
    for (int i = 0; i < PQntuples(rows); i++) {
        struct row row;
        if (read_row(rows, i, &row) == 0) {
            decide(p, &row, at);
            continue;
        }
        p->refused++;
        log_error(claim_refused, LOG_STR("tenant", row.tenant), LOG_STR("metric", row.metric),
                  LOG_MSG("the total is not a number of up to 38 digits"));
    }
}

/* One statement with an array for each parameter, unless they are empty. */
static int add_statement(struct pg_statement *s, const char *sql, struct pg_array *arrays, int n)
{
    if (arrays[0].count == 0)
        return 0;
    pg_statement_init(s, sql);
    for (int i = 0; i < n; i++)
        pg_add_array(s, &arrays[i]);
    return 1;
}

/* What is replaced is void first, since its minute may be taken again. */
int claim_page_statements(struct claim_page *p, struct pg_statement out[CLAIM_STATEMENTS])
{
    int n = add_statement(out, SQL_VOID_REPLACED, &p->replaced, 1);
    n += add_statement(&out[n], SQL_INSERT_SUBMISSIONS, p->submissions, SUBMISSION_COLUMNS);
    n += add_statement(&out[n], SQL_UPSERT_CLAIMS, p->claims, CLAIM_COLUMNS);
    return n + add_statement(&out[n], SQL_NOTE_CARRIED, p->carries, CARRY_COLUMNS);
}

/* The arrays' own lives. */

static void init_arrays(struct pg_array *arrays, const unsigned *types, int n)
{
    for (int i = 0; i < n; i++)
        pg_array_init(&arrays[i], types[i]);
}

void claim_page_init(struct claim_page *p)
{
    *p = (struct claim_page){0};
    pg_array_init(&p->replaced, PG_TEXT);
    init_arrays(p->submissions, SUBMISSION_TYPES, SUBMISSION_COLUMNS);
    init_arrays(p->claims, CLAIM_TYPES, CLAIM_COLUMNS);
    init_arrays(p->carries, CARRY_TYPES, CARRY_COLUMNS);
}

static void each_array(struct claim_page *p, void (*act)(struct pg_array *a))
{
    act(&p->replaced);
    for (int i = 0; i < SUBMISSION_COLUMNS; i++)
        act(&p->submissions[i]);
    for (int i = 0; i < CLAIM_COLUMNS; i++)
        act(&p->claims[i]);
    for (int i = 0; i < CARRY_COLUMNS; i++)
        act(&p->carries[i]);
}

void claim_page_clear(struct claim_page *p)
{
    each_array(p, pg_array_clear);
    memset(p->counts, 0, sizeof p->counts);
    p->late = p->held = p->carried = p->split = p->refused = 0;
}

void claim_page_done(struct claim_page *p)
{
    each_array(p, pg_array_done);
}
