/* One page of totals to claim. */
#include "sink/claim/claim_page.h"

#include "common/log.h"
#include "common/stripe/identifier.h"
#include "sink/claim/claim_row.h"
#include "sink/sql.h"

#include <string.h>

enum { MOST_PARTS = 16 }; /* of one total at a time, so that none fills the page's memory */

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

void claim_page_init(struct claim_page *b)
{
    *b = (struct claim_page){0};
    pg_array_init(&b->replaced, PG_TEXT);
    for (int i = 0; i < SUBMISSION_COLUMNS; i++)
        pg_array_init(&b->submissions[i], SUBMISSION_TYPES[i]);
    for (int i = 0; i < CLAIM_COLUMNS; i++)
        pg_array_init(&b->claims[i], CLAIM_TYPES[i]);
    for (int i = 0; i < CARRY_COLUMNS; i++)
        pg_array_init(&b->carries[i], CARRY_TYPES[i]);
}

static void clear_arrays(struct pg_array *arrays, int n)
{
    for (int i = 0; i < n; i++)
        pg_array_clear(&arrays[i]);
}

void claim_page_clear(struct claim_page *b)
{
    pg_array_clear(&b->replaced);
    clear_arrays(b->submissions, SUBMISSION_COLUMNS);
    clear_arrays(b->claims, CLAIM_COLUMNS);
    clear_arrays(b->carries, CARRY_COLUMNS);
    memset(b->counts, 0, sizeof b->counts);
    b->late = b->held = b->carried = b->split = b->refused = 0;
}

static void free_arrays(struct pg_array *arrays, int n)
{
    for (int i = 0; i < n; i++)
        pg_array_done(&arrays[i]);
}

void claim_page_done(struct claim_page *b)
{
    pg_array_done(&b->replaced);
    free_arrays(b->submissions, SUBMISSION_COLUMNS);
    free_arrays(b->claims, CLAIM_COLUMNS);
    free_arrays(b->carries, CARRY_COLUMNS);
}

static void add_time(struct pg_array *a, int64_t unix_ms)
{
    if (unix_ms == 0)
        pg_array_add_null(a);
    else
        pg_array_add_time_ms(a, unix_ms);
}

static void add_text(struct pg_array *a, const char *text)
{
    if (text)
        pg_array_add_text(a, text);
    else
        pg_array_add_null(a);
}

static void add_claim(struct claim_page *b, const struct claim_row *row, const struct claim *c)
{
    struct pg_array *to = b->claims;
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

static void add_carry(struct claim_page *b, const struct claim_row *row, const struct claim *c)
{
    struct pg_array *to = b->carries;
    pg_array_add_text(to++, row->tenant);
    pg_array_add_text(to++, row->metric);
    pg_array_add_time_ms(to++, row->carried_from_ms);
    pg_array_add_i64(to++, c->claims);
    pg_array_add_time_ms(to++, row->total.period_start_ms);
    pg_array_add_time_ms(to++, c->usage_at_ms);
}

/* The period that it counts for. */
static int64_t period_of(const struct claim_row *row)
{
    return row->carried ? row->carried_from_ms : row->total.period_start_ms;
}

static void make_identifier(const struct claim_row *row, const struct claim *c, int64_t era,
                            char out[IDENTIFIER_SIZE])
{
    const struct claim_target *target = claim_row_target(row, c);
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

static void make_body(const struct claim_target *target, const struct claim *c,
                      const char *identifier, struct buf *body)
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

static void add_submission(struct claim_page *b, const struct claim_row *row, const struct claim *c,
                           int64_t era)
{
    const struct claim_target *target = claim_row_target(row, c);
    struct pg_array *to = b->submissions;
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
    add_text(to++, target->item);
    pg_array_add_time_ms(to++, period_of(row));
    pg_array_add_i64(to++, c->claims);
    pg_array_add_time_ms(to++, c->usage_at_ms);
    pg_array_add_dec(to++, c->quantity);
    pg_array_add_text(to++, body.data);
    pg_array_add_text(to++, STATES[c->state]);
    pg_array_add(to++, row->carried ? "\1" : "\0", 1);
    buf_done(&body);
}

static void add_replaced(struct claim_page *b, const struct claim_row *row)
{
    struct pg_array_reader reader;
    const unsigned char *identifier;
    size_t length;
    if (!row->replaced || pg_array_read(&reader, row->replaced, (size_t)row->replaced_bytes))
        return;
    while (pg_array_next(&reader, &identifier, &length))
        pg_array_add(&b->replaced, identifier, length);
}

static void count_made(struct claim_page *b, const struct claim_row *row, const struct claim *c)
{
    b->late += c->state == CLAIM_LATE;
    b->held += c->state == CLAIM_HELD;
    b->carried += row->carried;
}

static enum claim_decision decide_part(struct claim_page *b, const struct claim_row *row,
                                       struct claim_time at, struct claim *claim)
{
    enum claim_decision decision = claim_rule_decide(&row->total, at.now_ms, claim);
    b->counts[decision]++;
    if (claim->voids_held || (row->carried && decision == CLAIM_MAKE))
        add_replaced(b, row);
    if (decision == CLAIM_MAKE) {
        add_submission(b, row, claim, at.era);
        count_made(b, row, claim);
    }
    if (row->carried && decision == CLAIM_MAKE)
        add_carry(b, row, claim);
    return decision;
}

static void refuse_value(struct claim_page *b, const struct claim_row *row)
{
    char value[DEC_TEXT_SIZE];
    dec_format(row->total.quantity, value);
    b->refused++;
    log_error(claim_refused, LOG_STR("tenant", row->tenant), LOG_STR("metric", row->metric),
              LOG_STR("value", value), LOG_MSG("Stripe takes no value of more than 15 digits"));
}

/* What is too long for one submission becomes several, each in a minute of its own. */
static void decide(struct claim_page *b, struct claim_row *row, struct claim_time at)
{
    struct claim claim;
    enum claim_decision decision = decide_part(b, row, at, &claim);
    bool looked = decision == CLAIM_MAKE || decision == CLAIM_MARK || decision == CLAIM_TOO_LARGE;
    if (decision == CLAIM_TOO_LARGE)
        refuse_value(b, row);
    for (int parts = 1; claim.split && parts < MOST_PARTS; parts++) {
        claim_rule_apply(&row->total, &claim);
        decide_part(b, row, at, &claim);
    }
    b->split += claim.split || claim.elsewhere;
    /* Usage that lies in another period now must not be held against this one any more. */
    if ((looked || row->resummed) && !row->carried)
        add_claim(b, row, &claim);
}

void claim_page_fill(struct claim_page *b, const PGresult *rows, struct claim_time at)
{
    for (int i = 0; i < PQntuples(rows); i++) {
        struct claim_row row;
        if (claim_row_read(rows, i, &row) == 0) {
            decide(b, &row, at);
            continue;
        }
        b->refused++;
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
int claim_page_statements(struct claim_page *b, struct pg_statement out[CLAIM_STATEMENTS])
{
    int n = add_statement(out, SQL_VOID_REPLACED, &b->replaced, 1);
    n += add_statement(&out[n], SQL_INSERT_SUBMISSIONS, b->submissions, SUBMISSION_COLUMNS);
    n += add_statement(&out[n], SQL_UPSERT_CLAIMS, b->claims, CLAIM_COLUMNS);
    return n + add_statement(&out[n], SQL_NOTE_CARRIED, b->carries, CARRY_COLUMNS);
}
