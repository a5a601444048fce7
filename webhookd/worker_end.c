/* How the work on an event ends: its effect and its end are committed together, or it is put off.
 */
#include "webhookd/worker_internal.h"

#include "common/clock.h"
#include "common/metric_table.h"
#include "webhookd/limits.h"
#include "webhookd/sql.h"

#include <stdlib.h>

/* The end of the event. */

static void count(const char *outcome)
{
    metric_count(METRIC_OF_WEBHOOKS_WORKED, outcome);
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

static void take_limits(void *owner, const struct err *error, PGresult **results, int n)
{
    struct worker *w = owner;
    (void)n;
    /* On an error nothing is lost: the healer writes these limits within a minute. */
    if (!error && PQntuples(results[0]) > 0 && !w->closing)
        limits_write(w->d->limits, results[0], LIMITS_CHANGED, NULL, NULL);
    worker_next(w);
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
    if (error) {
        /* A full disk refuses this as well. */
        worker_rest(w, error->kind == ERR_REFUSED ? backoff_next_ms(&w->backoff, backoff_random())
                                                  : POLL_MS);
    } else {
        worker_next(w);
    }
}

static void tell_delay(struct worker *w, enum retry_cause cause, int64_t wait_ms)
{
    const struct job *j = &w->job;
    uint64_t held = 0;
    if (cause == RETRY_PEER && !log_repeat_failed(&w->delayed, clock_monotonic_ms(), &held))
        return;
    log_warn("webhook_delayed", LOG_STR("type", j->event.type), LOG_STR("id", j->event.id),
             LOG_I64("attempt", j->attempts + 1), LOG_I64("wait_ms", wait_ms),
             LOG_U64("held_back", held), LOG_MSG(j->why));
}

static void add_delay(const struct worker *w, struct script *s, int64_t wait_ms)
{
    const struct job *j = &w->job;
    script_add(s, SQL_DELAY_EVENT);
    script_text(s, j->event.id);
    script_text(s, j->why);
    script_i64(s, wait_ms);
    count("delayed");
}

static void add_finish(const struct worker *w, struct script *s)
{
    const struct job *j = &w->job;
    script_add(s, SQL_FINISH_EVENT);
    script_text(s, j->event.id);
    script_text(s, state_of(w->verdict));
    script_text(s, j->why[0] ? j->why : NULL);
}

void worker_run_delay(struct worker *w, enum retry_cause cause, bool in_transaction)
{
    struct script s = {0};
    int64_t wait_ms = 0;
    enum retry retry = retry_decide(cause, w->job.attempts + 1, backoff_random(), &wait_ms);
    worker_go(w, DELAYING);
    if (in_transaction)
        script_add(&s, "rollback");
    if (retry == RETRY_LATER) {
        add_delay(w, &s, wait_ms);
        tell_delay(w, cause, wait_ms);
    } else {
        w->verdict = retry == RETRY_FAIL ? VERDICT_FAIL : VERDICT_IGNORE;
        add_finish(w, &s);
        log_end(w);
    }
    script_run(&s, w->pg, DEADLINE_MS, take_delay, w);
}

bool worker_is_lost(struct worker *w, const struct err *error)
{
    if (!error)
        return false;
    if (error->kind != ERR_REFUSED || w->closing || !pg_is_ready(w->pg)) {
        worker_rest(w, POLL_MS);
        return true;
    }
    job_say(&w->job, "%.150s", error->text);
    worker_run_delay(w, pg_is_data_fault(error) ? RETRY_REFUSED : RETRY_PEER, false);
    return true;
}

/* Writing the effect. */

static void take_write(void *owner, const struct err *error, PGresult **results, int n)
{
    struct worker *w = owner;
    (void)n;
    if (worker_is_lost(w, error))
        return;
    stage_crash_point("after_commit");
    log_end(w);
    if (w->verdict == VERDICT_APPLY && w->job.family->tell)
        w->job.family->tell(&w->job, results[w->job.answer_at]);
    if (w->verdict == VERDICT_APPLY && w->job.tenant && !w->closing)
        run_cache(w);
    else
        worker_next(w);
}

void worker_run_write(struct worker *w, enum verdict verdict)
{
    struct job *j = &w->job;
    struct script s = {0};
    worker_go(w, WRITING);
    w->verdict = verdict;
    if (verdict == VERDICT_APPLY) {
        script_add(&s, SQL_LOCK_TENANT);
        script_text(&s, j->tenant);
        j->family->apply(j, &s);
    }
    add_finish(w, &s);
    script_add(&s, "commit");
    stage_crash_point("before_commit");
    script_run(&s, w->pg, DEADLINE_MS, take_write, w);
}
