/* One row of read_dirty.sql or read_carried.sql. */
#include "sink/claim/claim_row.h"

#include <assert.h>

/* Columns of both. */
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

static struct claim_target read_target(const PGresult *r, int row)
{
    return (struct claim_target){
        .transport = transport_find(PQgetvalue(r, row, TRANSPORT)),
        .event_name = PQgetvalue(r, row, EVENT_NAME),
        .customer = PQgetvalue(r, row, CUSTOMER),
        .item = get_text(r, row, ITEM),
    };
}

/* A meter, whatever the tenant's usage goes to now: nothing else takes what is negative. */
static struct claim_target read_place(const PGresult *r, int row, const struct claim_target *now)
{
    if (PQgetisnull(r, row, PLACE_CUSTOMER))
        return *now;
    return (struct claim_target){
        .transport = now->transport->takes_negative ? now->transport : &TRANSPORT_METER_EVENTS,
        .event_name = PQgetvalue(r, row, PLACE_EVENT_NAME),
        .customer = PQgetvalue(r, row, PLACE_CUSTOMER),
    };
}

int claim_row_read(const PGresult *r, int row, struct claim_row *out)
{
    *out = (struct claim_row){
        .tenant = PQgetvalue(r, row, TENANT),
        .metric = PQgetvalue(r, row, METRIC),
        .target = read_target(r, row),
        .periods_version = pg_get_i64(r, row, PERIODS_VERSION),
        .resummed = pg_get_i64(r, row, RESUMMED),
        .replaced = get_text(r, row, REPLACED),
        .replaced_bytes = PQgetlength(r, row, REPLACED),
        .carried = !PQgetisnull(r, row, CARRIED_FROM),
        .carried_from_ms = get_time(r, row, CARRIED_FROM),
    };
    assert(out->target.transport); /* the statement was asked for ours alone */
    out->place = read_place(r, row, &out->target);
    int failed = read_total(r, row, &out->total);
    out->total.takes_negative = out->target.transport->takes_negative;
    out->total.ends_with_period = out->target.transport->ends_with_period;
    return failed;
}

const struct claim_target *claim_row_target(const struct claim_row *row, const struct claim *claim)
{
    bool subtracts = row->total.additive && dec_cmp(claim->quantity, DEC_ZERO) < 0;
    return subtracts ? &row->place : &row->target;
}

struct claim_key claim_row_key(const PGresult *r, int row)
{
    return (struct claim_key){
        .tenant = PQgetvalue(r, row, TENANT),
        .metric = PQgetvalue(r, row, METRIC),
        .period_start_us = pg_get_i64(r, row, PERIOD_START),
    };
}
