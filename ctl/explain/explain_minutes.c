/* Minutes and their events, one row at a time. Each minute is compared with what its events add up
 * to. */
#include "common/clock.h"
#include "common/str.h"
#include "ctl/explain/explain.h"
#include "ctl/sql.h"

#include <stdlib.h>
#include <string.h>

/* In the order of the statement's columns. */
enum {
    MINUTE,
    DIMENSIONS,
    IS_EVENT,
    EVENTS,
    QUANTITY,
    VALUE,
    DECIDES,
    PLACE,
    ID,
    STREAM,
    STREAM_ID,
    OCCURRED,
    RETRACTED,
    FIELDS
};

/* The planner does not know how many events unnest makes, and would compare each one with each
 * retraction. */
static const char BY_HASH[] = "set local enable_nestloop = off; set local jit = off";

static bool is_true(const PGresult *row, int column)
{
    const char *text = db_text(row, 0, column);
    return text && *text == 't';
}

static bool is_same_minute(const struct explain_minute *m, const PGresult *row)
{
    return m->at[0] && m->at_ms == db_i64(row, 0, MINUTE) &&
           strcmp(m->dimensions, db_text(row, 0, DIMENSIONS)) == 0;
}

/* From the minute's own row, or, if all of the minute was taken back, from one of its events. */
static void begin_minute(struct explain_minute *m, const PGresult *row)
{
    m->at_ms = db_i64(row, 0, MINUTE);
    clock_format_iso(m->at_ms, m->at);
    /* A whole minute: 2026-11-21T10:00Z. */
    memcpy(m->at + strlen("2026-11-21T10:00"), "Z", sizeof "Z");
    m->dimensions = xstrdup(db_text(row, 0, DIMENSIONS));
    if (is_true(row, IS_EVENT))
        return;
    m->place = xstrdup(db_text(row, 0, PLACE));
    m->events = db_i64(row, 0, EVENTS);
    m->sum = explain_dec(db_text(row, 0, QUANTITY));
    m->value = explain_dec(db_text(row, 0, VALUE));
    m->decides = is_true(row, DECIDES);
    m->adds = m->decides ? m->value : DEC_ZERO;
}

/* The event of a minute that decides its value, the first if several have it. */
static bool is_deciding(const struct explain *x, const struct explain_minute *m,
                        struct dec quantity, const PGresult *row)
{
    if (!m->decides)
        return false;
    if (x->kind == EXPLAIN_LAST)
        return strcmp(db_text(row, 0, PLACE), m->place) == 0;
    return dec_is_zero(m->found_adds) &&
           (x->kind == EXPLAIN_UNIQUE || dec_cmp(quantity, m->value) == 0);
}

static struct dec adds_of(const struct explain *x, const struct explain_minute *m,
                          struct dec quantity, const PGresult *row)
{
    switch (x->kind) {
    case EXPLAIN_SUM:
        return quantity;
    case EXPLAIN_COUNT:
        return dec_from_i64(1);
    case EXPLAIN_UNIQUE:
        return dec_from_i64(is_deciding(x, m, quantity, row) ? 1 : 0);
    case EXPLAIN_MAX:
    case EXPLAIN_LAST:
        break;
    }
    return is_deciding(x, m, quantity, row) ? quantity : DEC_ZERO;
}

static void use_event(struct explain *x, struct explain_minute *m, const PGresult *row)
{
    struct explain_event event = {.id = db_text(row, 0, ID),
                                  .stream = db_text(row, 0, STREAM),
                                  .stream_id = db_text(row, 0, STREAM_ID),
                                  .quantity = db_text(row, 0, QUANTITY),
                                  .fields = db_text(row, 0, FIELDS),
                                  .retracted = is_true(row, RETRACTED)};
    struct dec quantity = explain_dec(event.quantity);
    clock_format_iso(db_i64(row, 0, OCCURRED), event.occurred_at);
    if (!event.retracted) {
        event.adds = adds_of(x, m, quantity, row);
        m->found++;
        explain_add(&m->found_sum, quantity);
        explain_add(&m->found_adds, event.adds);
    }
    x->format->event(x, &event);
}

static void compare(struct explain *x, const struct explain_minute *m)
{
    struct dec difference = DEC_ZERO;
    /* Fewer events than the row says, and old enough for retention to have dropped them. */
    if (x->dropped_before && strcmp(m->at, x->dropped_before) < 0 && m->found < m->events) {
        explain_add_difference(&x->dropped, m->adds, m->found_adds);
        return;
    }
    explain_add_difference(&difference, m->adds, m->found_adds);
    if (dec_is_zero(difference))
        explain_add_difference(&difference, m->sum, m->found_sum);
    if (dec_is_zero(difference))
        explain_add_difference(&difference, dec_from_i64(m->events), dec_from_i64(m->found));
    explain_add(&x->difference, difference);
}

static void end_minute(struct explain *x, struct explain_minute *m)
{
    if (!m->at[0])
        return;
    if (x->format->minute_end)
        x->format->minute_end(x);
    explain_add(&x->minutes, m->adds);
    explain_add(&x->found, m->found_adds);
    compare(x, m);
    free(m->dimensions);
    free(m->place);
    *m = (struct explain_minute){0};
}

struct reading {
    struct explain *x;
    struct explain_minute minute;
};

static void use_row(void *owner, const PGresult *row)
{
    struct reading *r = owner;
    if (!is_same_minute(&r->minute, row)) {
        end_minute(r->x, &r->minute);
        begin_minute(&r->minute, row);
        r->x->format->minute(r->x, &r->minute);
    }
    if (is_true(row, IS_EVENT))
        use_event(r->x, &r->minute, row);
}

int explain_minutes(struct explain *x, struct err *e)
{
    const char *values[] = {x->tenant, x->metric, x->first, x->last};
    struct reading r = {.x = x};
    if (db_script(x->conn, BY_HASH, e))
        return -1;
    int failed = db_each(x->conn, SQL_EXPLAIN_MINUTES, 4, values, DB_TEXT, use_row, &r, e);
    end_minute(x, &r.minute);
    return failed;
}
