/*      RESTING --a look every 2 s--> LOOKING --> RESTING
 *                                       |
 *           what is in doubt, or a comparison: RUNNING --> ENDING (a request is done) --> RESTING
 *
 * The happy path: a look exports the drift, takes a request, and reads what is due. One thing is
 * done at a time, and what a person asked for comes first.
 *
 * The failure modes: PostgreSQL or Stripe is away. The run ends, that is logged once, and it is
 * made again after a pause: a request by the sink that takes it next, the nightly run because its
 * row has no end. */
#include "sink/reconciler.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/metric_table.h"
#include "common/stripe/in_doubt.h"
#include "common/stripe/reconcile.h"
#include "sink/session.h"
#include "sink/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOK_MS = 2000,
    DEADLINE_MS = 20000,
    DOUBTS_PAUSE_MS = 60000,
    FAILURE_PAUSE_MS = 30000,
    UNPROVEN_PAUSE_MS = 10000, /* between two rounds over what was not compared since a restore */
    MOST_MINUTES = 100
};
enum reconciler_state { RESTING, LOOKING, RUNNING, ENDING };

static const struct machine RECONCILER = {"reconciler",
                                          {[RESTING] = {"resting", TO(LOOKING)},
                                           [LOOKING] = {"looking", TO(RUNNING) | TO(RESTING)},
                                           [RUNNING] = {"running", TO(ENDING) | TO(RESTING)},
                                           [ENDING] = {"ending", TO(RESTING)}}};

struct reconciler {
    const struct config *config;
    struct session *session;
    struct stripe_access access;
    struct stripe_api *api;
    struct stripe_usage *usage;
    struct reconcile *compare;
    struct doubts *doubts;
    uv_timer_t timer;
    enum reconciler_state state;
    bool stopping;
    char *tenant;       /* of the request taken; NULL: none */
    char *requested_at; /* as PostgreSQL writes it */
    char *round_after;  /* of those not compared since a restore: after this tenant; "" begins */
    int64_t round_ms;   /* monotonic: when the next round begins */
    int64_t unproven;   /* tenants, as the last round began */
    char due[8];        /* of the nightly run, minute of the day */
    struct reconcile_ask ask;
    int64_t begun_ms;      /* monotonic: this run … */
    int64_t not_before_ms; /* … the next one, after a failure … */
    int64_t doubts_ms;     /* … and the next look at what is in doubt */
    struct log_repeat failures;
    struct closing closing;
};

static void forget_request(struct reconciler *r)
{
    free(r->tenant);
    free(r->requested_at);
    r->tenant = r->requested_at = NULL;
}

static void rest(struct reconciler *r)
{
    forget_request(r);
    machine_go(&RECONCILER, r->state, RESTING);
}

static void fail(struct reconciler *r, const struct err *error)
{
    uint64_t suppressed;
    int64_t now_ms = clock_monotonic_ms();
    r->not_before_ms = now_ms + FAILURE_PAUSE_MS;
    if (error->kind != ERR_CANCELED && log_repeat_failed(&r->failures, now_ms, &suppressed))
        log_warn(reconcile_delayed, LOG_STR("tenant", r->tenant),
                 LOG_STR("sqlstate", *error->sqlstate ? error->sqlstate : NULL),
                 LOG_U64("held_back", suppressed), LOG_ERR(error));
    rest(r);
}

static void look(void *owner);

static void take_request_end(void *owner, const struct err *error, PGresult **results, int n)
{
    (void)results;
    (void)n;
    if (error)
        fail(owner, error);
    else
        rest(owner);
}

static void end_request(struct reconciler *r)
{
    struct pg_statement s;
    if (!r->requested_at || !session_is_idle(r->session)) {
        bool again = r->tenant != NULL;
        rest(r);
        if (again)
            look(r); /* the round goes on */
        return;
    }
    machine_go(&RECONCILER, r->state, ENDING);
    pg_statement_init(&s, SQL_END_RECONCILE_REQUEST);
    pg_add_text(&s, r->tenant);
    pg_add_text(&s, r->requested_at);
    session_run(r->session, &s, 1, DEADLINE_MS, take_request_end, r);
}

/* Comparing. */

static void on_found(void *owner, const struct reconcile_found *found)
{
    (void)owner;
    if (found->error)
        log_warn(drift_not_read, LOG_STR("tenant", found->tenant), LOG_STR("metric", found->metric),
                 LOG_STR("customer", found->customer), LOG_STR("period_start", found->period_start),
                 LOG_ERR(found->error));
    else
        log_error(drift_found, LOG_STR("tenant", found->tenant), LOG_STR("metric", found->metric),
                  LOG_STR("customer", found->customer),
                  LOG_STR("period_start", found->period_start), LOG_STR("drift", found->drift),
                  LOG_MSG("Stripe counted so much more than was sent (less, if negative): "
                          "`meterctl reconcile "
                          "--tenant` names the minutes that differ"));
}

static void take_comparison(void *owner, const struct err *error,
                            const struct reconcile_report *report)
{
    struct reconciler *r = owner;
    if (error) {
        fail(r, error);
        return;
    }
    log_repeat_recovered(&r->failures);
    if (report->run_id != 0)
        log_info(reconcile_done, LOG_STR("reason", r->ask.reason), LOG_STR("tenant", r->tenant),
                 LOG_I64("compared", report->compared), LOG_I64("drifted", report->drifted),
                 LOG_I64("unread", report->unread),
                 LOG_I64("elapsed_ms", clock_monotonic_ms() - r->begun_ms));
    end_request(r);
}

static void run_comparison(struct reconciler *r, const char *reason, const char *due,
                           bool everything)
{
    machine_go(&RECONCILER, r->state, RUNNING);
    r->begun_ms = clock_monotonic_ms();
    r->ask = (struct reconcile_ask){.reason = reason,
                                    .tenant = r->tenant,
                                    .everything = everything,
                                    .due = due,
                                    .most = MOST_MINUTES};
    reconcile_start(r->compare, session_pg(r->session), &r->ask);
}

/* What is in doubt. */

static void on_settled(void *owner, const char *identifier, const char *customer, const char *state,
                       const char *why)
{
    (void)owner;
    log_at(strcmp(state, "failed") == 0 ? LOG_ERROR : LOG_INFO, doubt_settled,
           LOG_STR("identifier", identifier), LOG_STR("customer", customer),
           LOG_STR("state", state), LOG_MSG(why));
}

static void take_doubts(void *owner, const struct err *error, const struct doubts_report *report)
{
    struct reconciler *r = owner;
    (void)report;
    if (error) {
        fail(r, error);
        return;
    }
    log_repeat_recovered(&r->failures);
    rest(r);
}

static void run_doubts(struct reconciler *r)
{
    machine_go(&RECONCILER, r->state, RUNNING);
    r->doubts_ms = clock_monotonic_ms() + DOUBTS_PAUSE_MS;
    doubts_start(r->doubts, session_pg(r->session), &(struct doubts_ask){0});
}

/* Looking. */

/* The next tenant of the round, or its end. */
static bool next_of_round(struct reconciler *r, const PGresult *next)
{
    bool any = !PQgetisnull(next, 0, 0);
    int64_t unproven = r->unproven;
    if (!PQgetisnull(next, 0, 1))
        (void)str_to_i64(PQgetvalue(next, 0, 1), strlen(PQgetvalue(next, 0, 1)), &unproven);
    if (unproven > 0 && r->unproven == 0)
        log_warn(not_compared, LOG_I64("tenants", unproven),
                 LOG_MSG("usage for customers or event names that were not compared with Stripe "
                         "since a restore is held until they are"));
    r->unproven = unproven;
    free(r->round_after);
    r->round_after = xstrdup(any ? PQgetvalue(next, 0, 0) : "");
    r->round_ms = any ? 0 : clock_monotonic_ms() + UNPROVEN_PAUSE_MS;
    if (any)
        r->tenant = xstrdup(r->round_after);
    return any;
}

static void export_drift(const PGresult *result)
{
    int64_t drift = 0;
    const char *text = PQgetvalue(result, 0, 0);
    if (str_to_i64(text, strlen(text), &drift) == 0)
        metric_set(metric_of(METRIC_OF_STRIPE_DRIFT, ""), drift);
}

static void take_look(void *owner, const struct err *error, PGresult **results, int n)
{
    struct reconciler *r = owner;
    if (error) {
        fail(r, error);
        return;
    }
    export_drift(results[0]);
    if (n > 2 && PQntuples(results[2]) > 0) {
        r->tenant = xstrdup(PQgetvalue(results[2], 0, 0));
        r->requested_at = xstrdup(PQgetvalue(results[2], 0, 1));
    }
    bool may_run = n > 2 && !r->stopping && session_is_idle(r->session);
    if (n > 3 && may_run && !r->tenant && next_of_round(r, results[3])) {
        run_comparison(r, "unproven", NULL, true);
        return;
    }
    bool doubts = *PQgetvalue(results[1], 0, 0) == 't';
    bool nightly = *PQgetvalue(results[1], 0, 1) == 't';
    if (may_run && r->tenant)
        run_comparison(r, "asked", NULL, false);
    else if (may_run && doubts && clock_monotonic_ms() >= r->doubts_ms)
        run_doubts(r);
    else if (may_run && nightly)
        run_comparison(r, "nightly", r->due, false);
    else
        rest(r);
}

/* After a failure the drift is exported all the same, and no request is taken. */
static void look(void *owner)
{
    struct reconciler *r = owner;
    struct pg_statement s[4];
    if (r->state != RESTING || !session_is_idle(r->session))
        return;
    bool paused = r->stopping || clock_monotonic_ms() < r->not_before_ms;
    machine_go(&RECONCILER, r->state, LOOKING);
    pg_statement_init(&s[0], SQL_SUM_DRIFT);
    pg_statement_init(&s[1], SQL_FIND_RECONCILE_DUE);
    pg_add_text(&s[1], r->due);
    pg_statement_init(&s[2], SQL_TAKE_RECONCILE_REQUEST);
    pg_statement_init(&s[3], SQL_FIND_UNPROVEN);
    pg_add_text(&s[3], r->round_after);
    int n = clock_monotonic_ms() >= r->round_ms ? 4 : 3;
    session_run(r->session, s, paused ? 2 : n, DEADLINE_MS, take_look, r);
}

static void on_timer(uv_timer_t *timer)
{
    look(timer->data);
}

static void open_stripe(struct reconciler *r, uv_loop_t *loop)
{
    const struct config *c = r->config;
    r->access = (struct stripe_access){.key = &c->stripe_secret_key,
                                       .base = c->stripe_api_base,
                                       .version = c->stripe_api_version,
                                       .rate_per_s = c->reconcile_rate_per_s};
    r->api = stripe_api_open(loop, &r->access);
    r->usage = stripe_usage_new(r->api);
    r->compare = reconcile_new(
        r->usage,
        (struct reconcile_events){.on_found = on_found, .done = take_comparison, .owner = r});
    r->doubts = doubts_new(
        r->usage,
        (struct doubts_events){.on_settled = on_settled, .done = take_doubts, .owner = r});
}

struct reconciler *reconciler_open(struct stage *stage, const struct config *config)
{
    struct reconciler *r = xcalloc(1, sizeof *r);
    r->config = config;
    r->round_after = xstrdup("");
    (void)snprintf(r->due, sizeof r->due, "%d", (int)config_reconcile_minute(config));
    open_stripe(r, stage_loop(stage));
    r->session = session_open(stage, config->base.database_url, "reconcile",
                              (struct session_events){.on_usable = look, .owner = r});
    uv_timer_init(stage_loop(stage), &r->timer);
    r->timer.data = r;
    uv_timer_start(&r->timer, on_timer, LOOK_MS, LOOK_MS);
    return r;
}

int64_t reconciler_unproven(const struct reconciler *r)
{
    return r->unproven;
}

void reconciler_stop(struct reconciler *r)
{
    r->stopping = true;
}

static void release(void *self)
{
    struct reconciler *r = self;
    reconcile_free(r->compare);
    doubts_free(r->doubts);
    stripe_usage_free(r->usage);
    forget_request(r);
    free(r->round_after);
    free(r);
}

void reconciler_close(struct reconciler *r, void (*closed)(void *owner), void *owner)
{
    closing_begin(&r->closing, r, release, closed, owner);
    closing_handle(&r->closing, &r->timer);
    session_close(r->session, closing_part_closed, closing_part(&r->closing));
    stripe_api_close(r->api, closing_part_closed, closing_part(&r->closing));
    closing_end(&r->closing);
}
