/*    RESTING --> one step after the other, each a statement or a reading --> RESTING
 *
 *    begin - meters - targets -+- ours - held - ours again -+- minutes - explain -+- write -+- end
 *                              ^    ^___it changed____/     |                     |         |
 *                              |                            +----- no drift ------+         |
 *                              +------------------- the next target, the next page ---------+   */
#include "common/reconcile.h"

#include "common/pg_array.h"
#include "common/reconcile_explain.h"
#include "common/sql.h"
#include "common/str.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 60000, MOST_LOOKS = 5, NUMBER_SIZE = 24, MOST_NAMED = 100 };
#define TENANTS_A_PAGE "100"

/* Columns of reconcile_targets.sql. */
enum {
    TENANT,
    METRIC,
    CUSTOMER,
    EVENT_NAME,
    ITEM,
    NEWEST,
    PERIOD_START,
    PERIOD_END,
    START_S,
    END_S
};
/* Columns of reconcile_ours.sql. */
enum { SENT, OPEN, LOW, HIGH, MARK, OURS_COLUMNS };

struct reconcile {
    struct stripe_usage *usage;
    struct reconcile_events events;
    struct reconcile_ask ask;
    struct pg *pg;
    bool running;
    struct reconcile_report report;
    PGresult *targets; /* this page */
    int row;
    struct usage_place place; /* of this target; its texts are the page's */
    PGresult *ours;           /* as read before Stripe was asked */
    int looks;
    struct held held;
    struct dec drift;
    struct our_minute *minutes;
    struct explain *explain; /* NULL: nothing to explain, or not by minutes */
};

static void next_target(struct reconcile *r);
static void run_page(struct reconcile *r, const char *after);
static void run_ours(struct reconcile *r);

struct reconcile *reconcile_new(struct stripe_usage *usage, struct reconcile_events events)
{
    struct reconcile *r = xcalloc(1, sizeof *r);
    r->usage = usage;
    r->events = events;
    return r;
}

void reconcile_free(struct reconcile *r)
{
    assert(!r->running);
    free(r);
}

static void forget_target(struct reconcile *r)
{
    PQclear(r->ours);
    r->ours = NULL;
    if (r->explain)
        explain_free(r->explain);
    r->explain = NULL;
    free(r->minutes);
    r->minutes = NULL;
}

static void end_run(struct reconcile *r, const struct err *error)
{
    forget_target(r);
    PQclear(r->targets);
    r->targets = NULL;
    r->running = false;
    r->events.done(r->events.owner, error, &r->report);
}

/* One statement. A connection that was lost meanwhile ends the run. */
static void run(struct reconcile *r, const struct pg_statement *s, pg_done_fn done)
{
    struct err e;
    if (pg_is_ready(r->pg)) {
        pg_run(r->pg, s, 1, DEADLINE_MS, done, r);
        return;
    }
    err_set(&e, ERR_CLOSED, "postgres: not connected");
    end_run(r, &e);
}

/* This target's text; NULL for SQL NULL. */
static const char *target(const struct reconcile *r, int column)
{
    return PQgetisnull(r->targets, r->row, column) ? NULL
                                                   : PQgetvalue(r->targets, r->row, column);
}

static int64_t target_s(const struct reconcile *r, int column)
{
    int64_t s = 0;
    const char *text = target(r, column);
    bool whole = text && str_to_i64(text, strlen(text), &s) == 0;
    assert(whole);
    return s;
}

/* A number of ours; SQL NULL is 0. */
static struct dec our_number(const struct reconcile *r, int column)
{
    struct dec value = DEC_ZERO;
    const char *text = PQgetvalue(r->ours, 0, column);
    bool null = PQgetisnull(r->ours, 0, column);
    bool read = null || dec_parse(text, strlen(text), &value) == 0;
    assert(read); /* its type is numeric(38,9) */
    return value;
}

static void tell(struct reconcile *r, const char *drift, const struct err *error)
{
    const struct reconcile_found found = {.tenant = target(r, TENANT),
                                          .metric = target(r, METRIC),
                                          .customer = target(r, CUSTOMER),
                                          .period_start = target(r, PERIOD_START),
                                          .drift = drift,
                                          .error = error};
    r->events.on_found(r->events.owner, &found);
}

/* Stripe does not tell this one. */
static void leave_unread(struct reconcile *r, const struct err *error)
{
    r->report.unread++;
    tell(r, NULL, error);
    next_target(r);
}

/* The end. */

static void take_end(void *owner, const struct err *error, PGresult **results, int n)
{
    (void)results;
    (void)n;
    end_run(owner, error);
}

static void run_end(struct reconcile *r)
{
    struct pg_statement s;
    unsigned char numbers[4][8];
    pg_statement_init(&s, SQL_RECONCILE_END);
    pg_add_i64(&s, r->report.run_id, numbers[0]);
    pg_add_i64(&s, r->report.compared, numbers[1]);
    pg_add_i64(&s, r->report.drifted, numbers[2]);
    pg_add_i64(&s, r->report.unread, numbers[3]);
    run(r, &s, take_end);
}

/* Writing what was found. */

static void take_written(void *owner, const struct err *error, PGresult **results, int n)
{
    struct reconcile *r = owner;
    char drift[DEC_TEXT_SIZE];
    (void)results;
    (void)n;
    if (error) {
        end_run(r, error);
        return;
    }
    r->report.compared++;
    if (!dec_is_zero(r->drift)) {
        r->report.drifted++;
        dec_format(r->drift, drift);
        tell(r, drift, NULL);
    }
    next_target(r);
}

static void add_minutes(const struct reconcile *r, struct pg_array *minutes, struct pg_array *held)
{
    int n = 0;
    const struct odd_minute *odd = r->explain ? explain_found(r->explain, &n) : NULL;
    pg_array_init(minutes, PG_TIMESTAMPTZ);
    pg_array_init(held, PG_NUMERIC);
    for (int i = 0; i < n; i++) {
        pg_array_add_time_ms(minutes, odd[i].at_s * 1000);
        if (odd[i].held.any)
            pg_array_add_dec(held, odd[i].held.value);
        else
            pg_array_add_null(held);
    }
}

static void run_write(struct reconcile *r)
{
    struct pg_statement s;
    struct pg_array minutes;
    struct pg_array held;
    char stripe[DEC_TEXT_SIZE];
    char drift[DEC_TEXT_SIZE];
    char sent[DEC_TEXT_SIZE];
    unsigned char run_id[8];
    dec_format(r->held.value, stripe);
    dec_format(r->drift, drift);
    dec_format(our_number(r, SENT), sent);
    pg_statement_init(&s, SQL_RECONCILE_WRITE);
    for (int column = TENANT; column <= ITEM; column++)
        pg_add_text(&s, target(r, column));
    pg_add_text(&s, target(r, PERIOD_START));
    pg_add_text(&s, target(r, PERIOD_END));
    pg_add_text(&s, sent);
    pg_add_text(&s, PQgetvalue(r->ours, 0, OPEN));
    pg_add_text(&s, stripe);
    pg_add_text(&s, drift);
    pg_add_i64(&s, r->report.run_id, run_id);
    add_minutes(r, &minutes, &held);
    pg_add_array(&s, &minutes);
    pg_add_array(&s, &held);
    run(r, &s, take_written);
    pg_array_done(&minutes);
    pg_array_done(&held);
}

/* Explaining a drift. */

static void take_explained(void *owner, const struct err *error)
{
    struct reconcile *r = owner;
    /* What was found until then is better than nothing. */
    if (error && !stripe_usage_refused_this(error))
        end_run(r, error);
    else
        run_write(r);
}

static void take_minutes(void *owner, const struct err *error, PGresult **results, int n)
{
    struct reconcile *r = owner;
    (void)n;
    if (error) {
        end_run(r, error);
        return;
    }
    int rows = PQntuples(results[0]);
    r->minutes = xcalloc((size_t)rows + 1, sizeof *r->minutes);
    for (int i = 0; i < rows; i++) {
        const unsigned char *data = (const unsigned char *)PQgetvalue(results[0], i, 1);
        r->minutes[i].at_s = pg_get_time_ms(results[0], i, 0) / 1000;
        bool read = dec_from_pg(data, (size_t)PQgetlength(results[0], i, 1),
                                &r->minutes[i].quantity) == 0;
        assert(read); /* its type is numeric(38,9) */
    }
    r->explain = explain_new(r->usage, &r->place, r->minutes, rows, target_s(r, START_S),
                             target_s(r, END_S), r->ask.most);
    explain_start(r->explain, take_explained, r);
}

static void add_place(struct reconcile *r, struct pg_statement *s)
{
    for (int column = TENANT; column <= ITEM; column++)
        pg_add_text(s, target(r, column));
    pg_add_text(s, target(r, PERIOD_START));
    pg_add_text(s, target(r, PERIOD_END));
}

static void run_minutes(struct reconcile *r)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_RECONCILE_MINUTES);
    add_place(r, &s);
    s.binary_result = true;
    run(r, &s, take_minutes);
}

/* Comparing. */

static void compare(struct reconcile *r)
{
    struct err e;
    if (reconcile_rule_drift(r->held.value, our_number(r, LOW), our_number(r, HIGH), &r->drift)) {
        err_set(&e, ERR_RANGE, "Stripe holds a quantity that is no decimal of ours");
        leave_unread(r, &e);
        return;
    }
    if (dec_is_zero(r->drift) || r->place.item)
        run_write(r);
    else
        run_minutes(r);
}

static bool is_the_same(const PGresult *a, const PGresult *b)
{
    for (int i = 0; i < OURS_COLUMNS; i++)
        if (strcmp(PQgetvalue(a, 0, i), PQgetvalue(b, 0, i)) != 0)
            return false;
    return true;
}

static void take_held(void *owner, const struct err *error)
{
    struct reconcile *r = owner;
    if (!error)
        run_ours(r);
    else if (stripe_usage_refused_this(error))
        leave_unread(r, error);
    else
        end_run(r, error);
}

static void read_held(struct reconcile *r)
{
    struct err e;
    bool ours_is_nothing = !strcmp(PQgetvalue(r->ours, 0, MARK), "0");
    if (stripe_usage_check(r->usage, &r->place, &e) == 0) {
        stripe_usage_read(r->usage, &r->place, target_s(r, START_S), target_s(r, END_S), &r->held,
                          take_held, r);
        return;
    }
    /* Usage that Stripe has no meter for, and of which nothing was sent: there is nothing to
     * compare. */
    if (ours_is_nothing && !stripe_usage_has_meter(r->usage, r->place.event_name))
        next_target(r);
    else
        leave_unread(r, &e);
}

static void take_ours(void *owner, const struct err *error, PGresult **results, int n)
{
    struct reconcile *r = owner;
    (void)n;
    if (error) {
        end_run(r, error);
        return;
    }
    struct err e;
    bool first = !r->ours;
    bool same = !first && is_the_same(r->ours, results[0]);
    PQclear(r->ours);
    r->ours = results[0];
    results[0] = NULL;
    if (same)
        compare(r);
    else if (++r->looks <= MOST_LOOKS)
        read_held(r);
    else {
        err_set(&e, ERR_TIMEOUT, "ours changed each time that Stripe was asked");
        leave_unread(r, &e);
    }
}

static void run_ours(struct reconcile *r)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_RECONCILE_OURS);
    add_place(r, &s);
    pg_add_text(&s, r->place.newest ? "true" : "false");
    pg_add_text(&s, r->ask.sent_alone ? "true" : "false");
    run(r, &s, take_ours);
}

/* Targets. */

static void begin_target(struct reconcile *r)
{
    r->place = (struct usage_place){.customer = target(r, CUSTOMER),
                                    .event_name = target(r, EVENT_NAME),
                                    .item = target(r, ITEM),
                                    .newest = *target(r, NEWEST) == 't'};
    r->looks = 0;
    run_ours(r);
}

/* A tenant without anything to compare has a row without a metric. */
static void next_target(struct reconcile *r)
{
    forget_target(r);
    do
        r->row++;
    while (r->row < PQntuples(r->targets) && !target(r, METRIC));
    if (r->row < PQntuples(r->targets)) {
        begin_target(r);
        return;
    }
    r->row = PQntuples(r->targets) - 1;
    run_page(r, target(r, TENANT));
}

static void take_page(void *owner, const struct err *error, PGresult **results, int n)
{
    struct reconcile *r = owner;
    (void)n;
    if (error) {
        end_run(r, error);
        return;
    }
    PQclear(r->targets);
    r->targets = results[0];
    results[0] = NULL;
    r->row = -1;
    if (PQntuples(r->targets) == 0)
        run_end(r);
    else
        next_target(r);
}

static void run_page(struct reconcile *r, const char *after)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_RECONCILE_TARGETS);
    pg_add_text(&s, after);
    pg_add_text(&s, r->ask.tenant);
    pg_add_text(&s, r->ask.at);
    pg_add_text(&s, r->ask.everything ? "true" : "false");
    pg_add_text(&s, TENANTS_A_PAGE);
    run(r, &s, take_page);
}

/* The beginning. */

static void take_meters(void *owner, const struct err *error)
{
    struct reconcile *r = owner;
    if (error)
        end_run(r, error);
    else
        run_page(r, "");
}

static void take_begin(void *owner, const struct err *error, PGresult **results, int n)
{
    struct reconcile *r = owner;
    (void)n;
    if (error || PQntuples(results[0]) == 0) {
        end_run(r, error);
        return;
    }
    r->report.run_id = pg_get_i64(results[0], 0, 0);
    stripe_usage_load(r->usage, take_meters, r);
}

void reconcile_start(struct reconcile *r, struct pg *pg, const struct reconcile_ask *ask)
{
    struct pg_statement s;
    assert(!r->running && pg_is_ready(pg));
    r->running = true;
    r->pg = pg;
    r->ask = *ask;
    r->report = (struct reconcile_report){0};
    pg_statement_init(&s, SQL_RECONCILE_BEGIN);
    pg_add_text(&s, ask->reason);
    pg_add_text(&s, ask->tenant);
    pg_add_text(&s, ask->due);
    s.binary_result = true;
    run(r, &s, take_begin);
}
