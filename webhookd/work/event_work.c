#include "webhookd/work/event_work.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/metric_table.h"
#include "common/stage.h"
#include "webhookd/limits/limits.h"
#include "webhookd/sql.h"
#include "webhookd/work/event_rules.h"
#include "webhookd/work/fetcher.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEADLINE_MS = 10000,
    LOCK_DEADLINE_MS = 60000 /* another worker may hold the customer while Stripe is slow */
};

#define TO(state) (1u << (state))
static const unsigned MAY_GO[] = {
    [WORK_RESTING] = TO(LOCKING) | TO(FETCHING) | TO(WRITING) | TO(DELAYING),
    [LOCKING] = TO(WORK_RESTING) | TO(FETCHING) | TO(READING) | TO(DELAYING),
    [FETCHING] = TO(WORK_RESTING) | TO(READING) | TO(WRITING) | TO(DELAYING),
    [READING] = TO(WORK_RESTING) | TO(FETCHING) | TO(WRITING) | TO(DELAYING),
    [WRITING] = TO(WORK_RESTING) | TO(CACHING) | TO(DELAYING),
    [CACHING] = TO(WORK_RESTING),
    [DELAYING] = TO(WORK_RESTING),
};

static void work_go(struct event_work *w, enum event_work_state next)
{
    assert(MAY_GO[w->state] & TO(next));
    w->state = next;
}

static void end_work(struct event_work *w, enum event_work_end end)
{
    job_done(&w->job);
    work_go(w, WORK_RESTING);
    w->done(w->owner, end);
}

/* The end of the event. */

static void count(const char *outcome)
{
    metric_count(METRIC_OF_WEBHOOKS_WORKED, outcome);
}

static const char *state_of(enum verdict verdict)
{
    return verdict == VERDICT_APPLY ? "processed" : verdict == VERDICT_FAIL ? "failed" : "ignored";
}

static void log_end(const struct event_work *w)
{
    const struct job *j = &w->job;
    enum log_event event = w->verdict == VERDICT_APPLY  ? LOG_OF_webhook_processed
                           : w->verdict == VERDICT_FAIL ? LOG_OF_webhook_failed
                                                        : LOG_OF_webhook_ignored;
    count(state_of(w->verdict));
    log_event(w->verdict == VERDICT_FAIL ? LOG_ERROR : LOG_INFO, event,
              LOG_STR("type", j->event.type), LOG_STR("id", j->event.id),
              LOG_STR("object", j->event.object_id),
              LOG_STR("tenant", w->verdict == VERDICT_APPLY ? j->tenant : NULL),
              LOG_BOOL("fetched", j->fetched != NULL), LOG_STR("msg", j->why[0] ? j->why : NULL));
}

static void take_limits(void *owner, const struct err *error, PGresult **results, int n)
{
    struct event_work *w = owner;
    (void)n;
    /* On an error nothing is lost: the healer writes these limits within a minute. */
    if (!error && PQntuples(results[0]) > 0 && !w->closing)
        limits_write(w->limits, results[0], LIMITS_CHANGED, NULL, NULL);
    end_work(w, WORK_ENDED);
}

static void run_cache(struct event_work *w)
{
    struct script s = {0};
    work_go(w, CACHING);
    json_t *tenants = json_pack("[s]", w->job.tenant);
    script_add(&s, SQL_READ_LIMITS);
    script_json(&s, tenants);
    json_decref(tenants);
    script_run(&s, w->pg, DEADLINE_MS, take_limits, w);
}

/* Putting off. */

static void take_delay(void *owner, const struct err *error, PGresult **results, int n)
{
    struct event_work *w = owner;
    (void)results, (void)n;
    if (error) {
        /* A full disk refuses this as well. */
        end_work(w, error->kind == ERR_REFUSED ? WORK_REFUSED : WORK_LOST);
    } else {
        end_work(w, WORK_ENDED);
    }
}

static void tell_delay(struct event_work *w, enum retry_cause cause, int64_t wait_ms)
{
    const struct job *j = &w->job;
    uint64_t held = 0;
    if (cause == RETRY_PEER && !log_repeat_failed(&w->delayed, clock_monotonic_ms(), &held))
        return;
    log_warn(webhook_delayed, LOG_STR("type", j->event.type), LOG_STR("id", j->event.id),
             LOG_I64("attempt", j->attempts + 1), LOG_I64("wait_ms", wait_ms),
             LOG_U64("held_back", held), LOG_MSG(j->why));
}

static void add_delay(const struct event_work *w, struct script *s, int64_t wait_ms)
{
    const struct job *j = &w->job;
    script_add(s, SQL_DELAY_EVENT);
    script_text(s, j->event.id);
    script_text(s, j->why);
    script_i64(s, wait_ms);
    count("delayed");
}

static void add_finish(const struct event_work *w, struct script *s)
{
    const struct job *j = &w->job;
    script_add(s, SQL_FINISH_EVENT);
    script_text(s, j->event.id);
    script_text(s, state_of(w->verdict));
    script_text(s, j->why[0] ? j->why : NULL);
}

static void run_delay(struct event_work *w, enum retry_cause cause, bool in_transaction)
{
    struct script s = {0};
    int64_t wait_ms = 0;
    enum retry retry = retry_decide(cause, w->job.attempts + 1, backoff_random(), &wait_ms);
    work_go(w, DELAYING);
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

static bool is_lost(struct event_work *w, const struct err *error)
{
    if (!error)
        return false;
    if (error->kind != ERR_REFUSED || w->closing || !pg_is_ready(w->pg)) {
        end_work(w, WORK_LOST);
        return true;
    }
    job_say(&w->job, "%.150s", error->text);
    run_delay(w, pg_is_data_fault(error) ? RETRY_REFUSED : RETRY_PEER, false);
    return true;
}

/* Writing the effect. */

static void take_write(void *owner, const struct err *error, PGresult **results, int n)
{
    struct event_work *w = owner;
    (void)n;
    if (is_lost(w, error))
        return;
    stage_crash_point("after_commit");
    log_end(w);
    if (w->verdict == VERDICT_APPLY && w->job.family->tell)
        w->job.family->tell(&w->job, results[w->job.answer_at]);
    if (w->verdict == VERDICT_APPLY && w->job.tenant && !w->closing)
        run_cache(w);
    else
        end_work(w, WORK_ENDED);
}

static void run_write(struct event_work *w, enum verdict verdict)
{
    struct job *j = &w->job;
    struct script s = {0};
    work_go(w, WRITING);
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

static void run_read(struct event_work *w);
static void run_fetch(struct event_work *w, const char *path, const char *id);

/* Judging. */

static void judge(struct event_work *w)
{
    struct job *j = &w->job;
    enum verdict verdict = j->family->judge(j);
    if (verdict == VERDICT_UNCLEAR) {
        run_delay(w, RETRY_UNCLEAR, true);
    } else if (verdict != VERDICT_CUSTOMER) {
        run_write(w, verdict);
    } else if (w->fetcher) {
        j->asking_customer = true;
        run_fetch(w, "v1/customers", j->customer_id);
    } else {
        run_delay(w, RETRY_NO_TENANT, true);
    }
}

static void take_read(void *owner, const struct err *error, PGresult **results, int n)
{
    struct event_work *w = owner;
    (void)n;
    if (is_lost(w, error))
        return;
    job_take_reads(&w->job, results);
    judge(w);
}

static void run_read(struct event_work *w)
{
    struct script s = {0};
    work_go(w, READING);
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
    struct event_work *w = owner;
    struct job *j = &w->job;
    /* The connection may have been lost meanwhile, and the locks with it. */
    if (w->closing || w->lost || !pg_is_ready(w->pg)) {
        end_work(w, WORK_LOST);
        return;
    }
    if (error) {
        job_say(j, "fetch from Stripe: %.150s", error->text);
        run_delay(w, RETRY_PEER, true);
        return;
    }
    keep_fetched(j, object);
    if (j->family->read(j))
        run_write(w, VERDICT_FAIL);
    else if (j->family->is_report)
        judge(w);
    else
        run_read(w);
}

static void run_fetch(struct event_work *w, const char *path, const char *id)
{
    work_go(w, FETCHING);
    fetch_object(w->fetcher, path, id, take_fetch, w);
}

static void take_lock(void *owner, const struct err *error, PGresult **results, int n)
{
    struct event_work *w = owner;
    (void)results, (void)n;
    if (is_lost(w, error))
        return;
    if (w->fetcher)
        run_fetch(w, w->job.family->path, w->job.event.object_id);
    else
        run_read(w);
}

static void run_lock(struct event_work *w)
{
    struct script s = {0};
    work_go(w, LOCKING);
    script_add(&s, SQL_LOCK_CUSTOMER);
    script_text(&s, w->job.customer_id);
    script_run(&s, w->pg, LOCK_DEADLINE_MS, take_lock, w);
}

static bool is_of(const struct family *family, const char *type)
{
    size_t length = strlen(family->prefix);
    if (strncmp(type, family->prefix, length) != 0)
        return false;
    for (const char *const *end = family->ends; *end; end++)
        if (!strcmp(type + length, *end))
            return true;
    return false;
}

static const struct family *family_of(const char *type)
{
    static const struct family *const FAMILIES[] = {&CUSTOMER_FAMILY, &SUBSCRIPTION_FAMILY,
                                                    &INVOICE_FAMILY, &METER_REPORT_FAMILY};
    for (size_t i = 0; i < sizeof FAMILIES / sizeof *FAMILIES; i++)
        if (is_of(FAMILIES[i], type))
            return FAMILIES[i];
    return NULL;
}

static void start_report(struct event_work *w)
{
    struct job *j = &w->job;
    if (j->family->read(j) == 0)
        judge(w);
    else if (w->fetcher)
        run_fetch(w, j->family->path, j->event.id);
    else
        run_write(w, VERDICT_FAIL);
}

void event_work_start(struct event_work *w)
{
    struct job *j = &w->job;
    bool live = w->live;
    j->family = family_of(j->event.type);
    if (j->event.livemode != live) {
        job_say(j, "a %s event, while STRIPE_LIVE=%d", live ? "test" : "live", live);
        run_write(w, VERDICT_IGNORE);
    } else if (j->family && j->family->is_report) {
        start_report(w);
    } else if (!j->family || !j->event.object || !j->event.object_id) {
        job_say(j, "this type has no effect here");
        run_write(w, VERDICT_IGNORE);
    } else if (j->family->read(j)) {
        run_write(w, VERDICT_FAIL);
    } else {
        run_lock(w);
    }
}

void event_work_fail(struct event_work *w)
{
    run_write(w, VERDICT_FAIL);
}
