/*    RESTING --> one step after the other, each a statement or a reading --> RESTING
 *
 *    begin - meters - page -+- compare -+- end
 *                       ^   ^           |
 *                       |   +-- next ---+
 *                       +-- next page --+   */
#include "common/stripe/reconcile.h"

#include "common/sql.h"
#include "common/str.h"
#include "common/stripe/comparison.h"

#include <assert.h>
#include <stdlib.h>

enum { DEADLINE_MS = 60000 };
#define TENANTS_A_PAGE "100"

struct reconcile {
    struct stripe_usage *usage;
    struct comparison *comparison;
    struct reconcile_events events;
    struct reconcile_ask ask;
    struct pg *pg;
    bool running;
    struct reconcile_report report;
    PGresult *targets;    /* this page */
    struct target target; /* of it */
};

static void next_target(struct reconcile *r);

static void end_run(struct reconcile *r, const struct err *error)
{
    PQclear(r->targets);
    r->targets = NULL;
    r->running = false;
    r->events.done(r->events.owner, error, &r->report);
}

/* Runs one statement. If the connection was lost meanwhile, the run ends. */
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

/* Comparing. */

static void tell(struct reconcile *r, const char *drift, const struct err *error)
{
    const struct reconcile_found found = {.tenant = target_text(&r->target, TARGET_TENANT),
                                          .metric = target_text(&r->target, TARGET_METRIC),
                                          .customer = target_text(&r->target, TARGET_CUSTOMER),
                                          .period_start = target_text(&r->target, TARGET_PERIOD),
                                          .drift = drift,
                                          .error = error};
    r->events.on_found(r->events.owner, &found);
}

static void count_compared(struct reconcile *r, struct dec drift)
{
    char text[DEC_TEXT_SIZE];
    r->report.compared++;
    if (dec_is_zero(drift))
        return;
    r->report.drifted++;
    dec_format(drift, text);
    tell(r, text, NULL);
}

static void take_comparison(void *owner, enum comparison_outcome outcome, struct dec drift,
                            const struct err *error)
{
    struct reconcile *r = owner;
    switch (outcome) {
    case COMPARISON_WRITTEN:
        count_compared(r, drift);
        break;
    case COMPARISON_NOTHING:
        break;
    case COMPARISON_UNREAD:
        r->report.unread++;
        tell(r, NULL, error);
        break;
    case COMPARISON_FAILED:
        end_run(r, error);
        return;
    }
    next_target(r);
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
    r->target = (struct target){r->targets, -1};
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
    pg_add_text(&s, r->ask.final_before);
    pg_add_text(&s, r->ask.unproven_alone ? "true" : "false");
    run(r, &s, take_page);
}

static void next_target(struct reconcile *r)
{
    int rows = PQntuples(r->targets);
    do
        r->target.row++;
    while (r->target.row < rows && !target_text(&r->target, TARGET_METRIC));
    if (r->target.row < rows) {
        comparison_start(r->comparison, r->pg, &r->target, &r->ask, r->report.run_id);
        return;
    }
    r->target.row = rows - 1;
    run_page(r, target_text(&r->target, TARGET_TENANT));
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
    if (r->ask.meters_known)
        run_page(r, "");
    else
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

struct reconcile *reconcile_new(struct stripe_usage *usage, struct reconcile_events events)
{
    struct reconcile *r = xcalloc(1, sizeof *r);
    r->usage = usage;
    r->comparison = comparison_new(usage, take_comparison, r);
    r->events = events;
    return r;
}

void reconcile_free(struct reconcile *r)
{
    assert(!r->running);
    comparison_free(r->comparison);
    free(r);
}
