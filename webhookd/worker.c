/* One worker: one database connection, one event at a time.
 *
 *   RESTING -> PICKING -> LOCKING -> FETCHING -> READING -> WRITING -> CACHING -> PICKING
 *      ^          |          |          |  ^       |   |       |          |
 *      |          |          |          |  +-------+   |       |          |
 *      +-- none --+          +----------+----> DELAYING <------+          |
 *      +------------------- connection lost, or closing -------------------+
 *
 * The happy path: the event's row is locked (SKIP LOCKED, so that workers and replicas share the
 * work), then its customer; with a key the object is fetched anew; what is stored is read; the
 * effect, the event's end and COMMIT go out as one pipeline; then the tenant's limits are read and
 * cached. All up to COMMIT is one transaction: a crash anywhere leaves the event `received`, and it
 * is picked again.
 *
 * Failure modes. The connection is lost: the transaction is gone with it, or COMMIT's outcome is
 * unknown; either way the row tells, when it is picked again or not. PostgreSQL refuses the effect,
 * or Stripe does not answer: rolled back and put off, by the rules of retry.h. */
#include "webhookd/worker.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/metrics.h"
#include "webhookd/fetch.h"
#include "webhookd/job.h"
#include "webhookd/limits.h"
#include "webhookd/retry.h"
#include "webhookd/sql.h"
#include "webhookd/webhookd.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEADLINE_MS = 10000,
    LOCK_DEADLINE_MS = 60000, /* another worker may hold the customer while Stripe is slow */
    POLL_MS = 1000            /* for events put off, and those of a process that died */
};

enum state { RESTING, PICKING, LOCKING, FETCHING, READING, WRITING, CACHING, DELAYING };

#define TO(state) (1u << (state))
static const unsigned MAY_GO[] = {
    [RESTING] = TO(PICKING),
    [PICKING] = TO(RESTING) | TO(LOCKING) | TO(WRITING) | TO(DELAYING),
    [LOCKING] = TO(RESTING) | TO(FETCHING) | TO(READING) | TO(DELAYING),
    [FETCHING] = TO(RESTING) | TO(READING) | TO(WRITING) | TO(DELAYING),
    [READING] = TO(RESTING) | TO(FETCHING) | TO(WRITING) | TO(DELAYING),
    [WRITING] = TO(RESTING) | TO(CACHING) | TO(PICKING) | TO(DELAYING),
    [CACHING] = TO(RESTING) | TO(PICKING),
    [DELAYING] = TO(RESTING) | TO(PICKING),
};

struct worker {
    struct webhookd *d;
    struct pg *pg;
    uv_timer_t timer;
    enum state state;
    struct job job; /* zero while there is none */
    enum verdict verdict;
    struct backoff backoff; /* between picks that PostgreSQL refuses */
    struct log_repeat refused;
    bool woken; /* while it was at work: there may be more */
    bool lost;  /* the connection, since the event was picked */
    bool closing;
    int open_parts; /* handles, connections and fetches that still point here */
};

static void part_closed(struct worker *w);
static void run_pick(struct worker *w);
static void run_read(struct worker *w);
static void run_fetch(struct worker *w, const char *kind, const char *id);

static void worker_go(struct worker *w, enum state next)
{
    assert(MAY_GO[w->state] & TO(next));
    w->state = next;
}

static void on_timer(uv_timer_t *timer)
{
    worker_wake(timer->data);
}

static void rest(struct worker *w, uint64_t wait_ms)
{
    job_done(&w->job);
    worker_go(w, RESTING);
    if (!w->closing)
        uv_timer_start(&w->timer, on_timer, wait_ms, 0);
    webhookd_check_drained(w->d);
}

static bool may_pick(const struct worker *w)
{
    return !w->closing && !stage_is_draining(w->d->stage) && w->d->schema_ready &&
           pg_is_ready(w->pg);
}

static void next(struct worker *w)
{
    job_done(&w->job);
    if (may_pick(w))
        run_pick(w);
    else
        rest(w, POLL_MS);
}

/* The end of the event. */

static void count(const char *outcome)
{
    char *labels = xasprintf("outcome=\"%s\"", outcome);
    metric_add(metric_get("meterline_webhooks_worked_total", labels,
                          "Webhook events worked by outcome.", METRIC_COUNTER, METRIC_PLAIN),
               1);
    free(labels);
}

static const char *state_of(enum verdict verdict)
{
    return verdict == VERDICT_APPLY ? "processed" : verdict == VERDICT_FAIL ? "failed" : "ignored";
}

static void log_end(const struct worker *w)
{
    const struct job *j = &w->job;
    const char *state = state_of(w->verdict);
    char *event = xasprintf("webhook_%s", state);
    count(state);
    log_at(w->verdict == VERDICT_FAIL ? LOG_ERROR : LOG_INFO, event, LOG_STR("type", j->event.type),
           LOG_STR("id", j->event.id), LOG_STR("object", j->event.object_id),
           LOG_STR("tenant", w->verdict == VERDICT_APPLY ? j->tenant : NULL),
           LOG_BOOL("fetched", j->fetched != NULL), LOG_STR("msg", j->why[0] ? j->why : NULL));
    free(event);
}

static void warn_of_plan(const struct job *j, PGresult **results)
{
    if (j->plan_at > 0 && !result_text(results[j->plan_at], 0, 0))
        log_warn(
            "plan_unknown", LOG_STR("tenant", j->tenant), LOG_STR("object", j->event.object_id),
            LOG_MSG("no plan of the catalog fits the subscription's prices; limits are free's"));
}

static void take_limits(void *owner, const struct err *error, PGresult **results, int n)
{
    struct worker *w = owner;
    (void)n;
    /* On an error nothing is lost: the healer writes these limits within a minute. */
    if (!error && PQntuples(results[0]) > 0 && !w->closing)
        limits_write(w->d->limits, results[0], NULL, NULL);
    next(w);
}

static void run_cache(struct worker *w)
{
    struct script s = {0};
    worker_go(w, CACHING);
    json_t *tenants = json_pack("[s]", w->job.tenant);
    script_add(&s, SQL_READ_LIMITS);
    script_json(&s, tenants);
    json_decref(tenants);
    script_run(&s, w->pg, DEADLINE_MS, take_limits, w);
}

/* Putting off. */

static void take_delay(void *owner, const struct err *error, PGresult **results, int n)
{
    struct worker *w = owner;
    (void)results, (void)n;
    if (error)
        rest(w, POLL_MS);
    else
        next(w);
}

static void add_delay(struct worker *w, struct script *s, int64_t wait_ms)
{
    const struct job *j = &w->job;
    script_add(s, SQL_DELAY_EVENT);
    script_text(s, j->event.id);
    script_text(s, j->why);
    script_i64(s, wait_ms);
    count("delayed");
    log_warn("webhook_delayed", LOG_STR("type", j->event.type), LOG_STR("id", j->event.id),
             LOG_I64("attempt", j->attempts + 1), LOG_I64("wait_ms", wait_ms), LOG_MSG(j->why));
}

static void add_finish(const struct worker *w, struct script *s)
{
    const struct job *j = &w->job;
    script_add(s, SQL_FINISH_EVENT);
    script_text(s, j->event.id);
    script_text(s, state_of(w->verdict));
    script_text(s, j->why[0] ? j->why : NULL);
}

/* in_transaction: the one of the pick is still open. */
static void run_delay(struct worker *w, enum retry_cause cause, bool in_transaction)
{
    struct script s = {0};
    int64_t wait_ms = 0;
    enum retry retry = retry_decide(cause, w->job.attempts + 1, backoff_random(), &wait_ms);
    worker_go(w, DELAYING);
    if (in_transaction)
        script_add(&s, "rollback");
    if (retry == RETRY_LATER) {
        add_delay(w, &s, wait_ms);
    } else {
        w->verdict = retry == RETRY_FAIL ? VERDICT_FAIL : VERDICT_IGNORE;
        add_finish(w, &s);
        log_end(w);
    }
    script_run(&s, w->pg, DEADLINE_MS, take_delay, w);
}

/* What every answer of PostgreSQL asks first. True: it was an error, and is dealt with. */
static bool is_lost(struct worker *w, const struct err *error)
{
    if (!error)
        return false;
    if (error->kind != ERR_REFUSED || w->closing) {
        rest(w, POLL_MS);
        return true;
    }
    job_say(&w->job, "%.150s", error->text);
    run_delay(w, RETRY_REFUSED, false);
    return true;
}

/* Writing the effect. */

static void take_write(void *owner, const struct err *error, PGresult **results, int n)
{
    struct worker *w = owner;
    (void)n;
    if (is_lost(w, error))
        return;
    stage_crash_point("after_commit");
    log_end(w);
    if (w->verdict == VERDICT_APPLY)
        warn_of_plan(&w->job, results);
    if (w->verdict == VERDICT_APPLY && w->job.tenant && !w->closing)
        run_cache(w);
    else
        next(w);
}

static void run_write(struct worker *w, enum verdict verdict)
{
    struct job *j = &w->job;
    struct script s = {0};
    worker_go(w, WRITING);
    w->verdict = verdict;
    if (verdict == VERDICT_APPLY && j->family) {
        script_add(&s, SQL_LOCK_TENANT);
        script_text(&s, j->tenant);
        j->family->apply(j, &s);
    }
    add_finish(w, &s);
    script_add(&s, "commit");
    stage_crash_point("before_commit");
    script_run(&s, w->pg, DEADLINE_MS, take_write, w);
}

/* Judging. */

static void judge(struct worker *w)
{
    struct job *j = &w->job;
    enum verdict verdict = j->family->judge(j);
    if (verdict != VERDICT_CUSTOMER) {
        run_write(w, verdict);
    } else if (w->d->http) {
        j->asking_customer = true;
        run_fetch(w, "customers", j->customer_id);
    } else {
        run_delay(w, RETRY_NO_TENANT, true);
    }
}

static void take_read(void *owner, const struct err *error, PGresult **results, int n)
{
    struct worker *w = owner;
    (void)n;
    if (is_lost(w, error))
        return;
    job_take_reads(&w->job, results);
    judge(w);
}

static void run_read(struct worker *w)
{
    struct script s = {0};
    worker_go(w, READING);
    job_add_reads(&w->job, &s);
    script_run(&s, w->pg, LOCK_DEADLINE_MS, take_read, w);
}

/* Fetching. */

static void keep_fetched(struct job *j, json_t *object)
{
    if (j->asking_customer)
        j->fetched_customer = object ? json_incref(object) : json_object();
    else if (object)
        j->fetched = json_incref(object);
}

static void take_fetch(void *owner, const struct err *error, json_t *object)
{
    struct worker *w = owner;
    struct job *j = &w->job;
    /* The connection may have been lost meanwhile, and the locks with it. */
    if (w->closing || w->lost) {
        rest(w, POLL_MS);
        part_closed(w);
        return;
    }
    w->open_parts--;
    if (error) {
        job_say(j, "fetch from Stripe: %.150s", error->text);
        run_delay(w, RETRY_PEER, true);
        return;
    }
    keep_fetched(j, object);
    if (j->family->read(j))
        run_write(w, VERDICT_FAIL);
    else
        run_read(w);
}

static void run_fetch(struct worker *w, const char *kind, const char *id)
{
    worker_go(w, FETCHING);
    w->open_parts++;
    fetch_object(w->d, kind, id, take_fetch, w);
}

/* Picking and locking. */

static void take_lock(void *owner, const struct err *error, PGresult **results, int n)
{
    struct worker *w = owner;
    (void)results, (void)n;
    if (is_lost(w, error))
        return;
    if (w->d->http)
        run_fetch(w, w->job.family->kind, w->job.event.object_id);
    else
        run_read(w);
}

static void run_lock(struct worker *w)
{
    struct script s = {0};
    worker_go(w, LOCKING);
    script_add(&s, SQL_LOCK_CUSTOMER);
    script_text(&s, w->job.customer_id);
    script_run(&s, w->pg, LOCK_DEADLINE_MS, take_lock, w);
}

/* Events about usage that Stripe refused later: kept for the sink, and a person should know. */
static bool is_meter_report(const char *type)
{
    return !strncmp(type, "v1.billing.meter.", strlen("v1.billing.meter."));
}

static void start_job(struct worker *w)
{
    struct job *j = &w->job;
    bool live = w->d->config.stripe_live;
    j->family = family_of(j->event.type);
    if (j->event.livemode != live) {
        job_say(j, "a %s event, while STRIPE_LIVE=%d", live ? "test" : "live", live);
        run_write(w, VERDICT_IGNORE);
    } else if (is_meter_report(j->event.type)) {
        log_warn("meter_errors_reported", LOG_STR("type", j->event.type),
                 LOG_STR("id", j->event.id), LOG_STR("meter", j->event.object_id));
        run_write(w, VERDICT_APPLY);
    } else if (!j->family || !j->event.object || !j->event.object_id) {
        job_say(j, "this type has no effect here");
        run_write(w, VERDICT_IGNORE);
    } else if (j->family->read(j)) {
        run_write(w, VERDICT_FAIL);
    } else {
        run_lock(w);
    }
}

static void take_row(struct worker *w, const PGresult *r)
{
    struct job *j = &w->job;
    struct err e;
    const char *payload = result_text(r, 0, 3);
    j->attempts = result_i64(r, 0, 2);
    int failed =
        stripe_event_parse(payload ? payload : "", payload ? strlen(payload) : 0, &j->event, &e);
    if (failed) {
        /* It was parsed before it was kept: somebody has changed the row. */
        j->event.root =
            json_pack("{s:s, s:s}", "id", result_text(r, 0, 0), "type", result_text(r, 0, 1));
        j->event.id = stripe_text(j->event.root, "id");
        j->event.type = stripe_text(j->event.root, "type");
        job_say(j, "the payload cannot be read: %.100s", e.text);
        run_write(w, VERDICT_FAIL);
        return;
    }
    start_job(w);
}

static void take_nothing(void *owner, const struct err *error, PGresult **results, int n)
{
    struct worker *w = owner;
    (void)error, (void)results, (void)n;
    rest(w, w->woken ? 0 : POLL_MS);
}

static void pick_failed(struct worker *w, const struct err *error)
{
    uint64_t held;
    if (error->kind == ERR_REFUSED && log_repeat_failed(&w->refused, clock_monotonic_ms(), &held))
        log_error("pick_refused", LOG_U64("held_back", held), LOG_ERR(error));
    rest(w, error->kind == ERR_REFUSED ? backoff_next_ms(&w->backoff, backoff_random()) : POLL_MS);
}

static void take_pick(void *owner, const struct err *error, PGresult **results, int n)
{
    struct worker *w = owner;
    struct script s = {0};
    (void)n;
    if (error) {
        pick_failed(w, error);
        return;
    }
    backoff_reset(&w->backoff);
    if (log_repeat_recovered(&w->refused))
        log_info("pick_recovered", LOG_MSG("events are worked again"));
    if (PQntuples(results[1]) > 0) {
        take_row(w, results[1]);
        return;
    }
    script_add(&s, "commit");
    script_run(&s, w->pg, DEADLINE_MS, take_nothing, w);
}

static void run_pick(struct worker *w)
{
    struct script s = {0};
    worker_go(w, PICKING);
    w->woken = w->lost = false;
    script_add(&s, "begin");
    script_add(&s, SQL_PICK_EVENT);
    script_run(&s, w->pg, DEADLINE_MS, take_pick, w);
}

void worker_wake(struct worker *w)
{
    w->woken = true;
    if (w->state != RESTING || w->closing)
        return;
    uv_timer_stop(&w->timer);
    if (may_pick(w))
        run_pick(w);
    else
        uv_timer_start(&w->timer, on_timer, POLL_MS, 0);
}

/* Opening and closing. */

static void on_up(void *owner)
{
    worker_wake(owner);
}

static void on_down(void *owner, const struct err *error)
{
    struct worker *w = owner;
    (void)error;
    w->lost = true;
}

struct worker *worker_open(struct webhookd *d, int number)
{
    struct worker *w = xcalloc(1, sizeof *w);
    w->d = d;
    w->backoff = BACKOFF(500, 30000);
    w->open_parts = 2;
    uv_timer_init(stage_loop(d->stage), &w->timer);
    w->timer.data = w;
    char *name = xasprintf("meterline-webhookd-worker-%d", number);
    w->pg = pg_open(stage_loop(d->stage), d->config.base.database_url, "meterline_webhookd", name,
                    (struct pg_events){.on_up = on_up, .on_down = on_down, .owner = w});
    free(name);
    return w;
}

bool worker_is_idle(const struct worker *w)
{
    return w->state == RESTING;
}

bool worker_is_ready(const struct worker *w, struct buf *why)
{
    if (!pg_is_up(w->pg))
        buf_add_str(why, "postgres: a worker is not connected\n");
    return pg_is_up(w->pg);
}

static void part_closed(struct worker *w)
{
    if (--w->open_parts > 0)
        return;
    job_done(&w->job);
    free(w);
}

static void on_pg_closed(void *owner)
{
    part_closed(owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

void worker_close(struct worker *w)
{
    w->closing = true;
    pg_close(w->pg, on_pg_closed, w);
    uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}
