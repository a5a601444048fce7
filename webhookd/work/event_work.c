#include "webhookd/work/event_work.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/machine.h"
#include "common/metric_table.h"
#include "common/stage.h"
#include "webhookd/limits/limits.h"
#include "webhookd/sql.h"
#include "webhookd/work/event_rules.h"
#include "webhookd/work/fetcher.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEADLINE_MS = 10000,
    LOCK_DEADLINE_MS = 60000 /* another worker may have the lock while Stripe is slow */
};

static const struct machine EVENT_WORK = {
    "event_work",
    {[IDLE] = {"idle", TO(LOCKING) | TO(FETCHING) | TO(WRITING) | TO(DELAYING)},
     [LOCKING] = {"locking", TO(IDLE) | TO(FETCHING) | TO(READING) | TO(DELAYING)},
     [FETCHING] = {"fetching", TO(IDLE) | TO(READING) | TO(WRITING) | TO(DELAYING)},
     [READING] = {"reading", TO(IDLE) | TO(FETCHING) | TO(WRITING) | TO(DELAYING)},
     [WRITING] = {"writing", TO(IDLE) | TO(CACHING) | TO(DELAYING)},
     [CACHING] = {"caching", TO(IDLE)},
     [DELAYING] = {"delaying", TO(IDLE)}}};

static void end_work(struct event_work *w, enum event_work_end end)
{
    job_done(&w->job);
    machine_go(&EVENT_WORK, w->state, IDLE);
    w->done(w->owner, end);
}

/* The end of the event, and its limits. */

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
    metric_count(METRIC_OF_WEBHOOKS_WORKED, state_of(w->verdict));
    metric_observe(metric_with(METRIC_OF_WEBHOOK_SECONDS, state_of(w->verdict)),
                   clock_monotonic_ms() - j->received_ms);
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
    /* On an error nothing is lost: the sweep writes these limits within a minute. */
    if (!error && PQntuples(results[0]) > 0 && !w->closing)
        limits_write(w->limits, results[0], LIMITS_WRITE, NULL, NULL);
    end_work(w, WORK_ENDED);
}

static void run_cache(struct event_work *w)
{
    struct statement_list l = {0};
    machine_go(&EVENT_WORK, w->state, CACHING);
    json_t *tenants = json_pack("[s]", w->job.tenant);
    statement_list_add(&l, SQL_READ_LIMITS);
    param_json(&l, tenants);
    json_decref(tenants);
    statement_list_run(&l, w->pg, DEADLINE_MS, take_limits, w);
}

/* Putting off. */

static void take_delay(void *owner, const struct err *error, PGresult **results, int n)
{
    (void)results, (void)n;
    /* A full disk refuses this as well. */
    end_work(owner, !error ? WORK_ENDED : error->kind == ERR_REFUSED ? WORK_REFUSED : WORK_LOST);
}

static void log_delay(struct event_work *w, enum retry_cause cause, int64_t wait_ms)
{
    const struct job *j = &w->job;
    uint64_t suppressed = 0;
    if (cause == CAUSE_PEER && !log_repeat_failed(&w->delayed, clock_monotonic_ms(), &suppressed))
        return;
    log_warn(webhook_delayed, LOG_STR("type", j->event.type), LOG_STR("id", j->event.id),
             LOG_I64("attempt", j->attempts + 1), LOG_I64("wait_ms", wait_ms),
             LOG_U64("held_back", suppressed), LOG_MSG(j->why));
}

static void add_finish(const struct event_work *w, struct statement_list *l)
{
    const struct job *j = &w->job;
    statement_list_add(l, SQL_FINISH_EVENT);
    param_text(l, j->event.id);
    param_text(l, state_of(w->verdict));
    param_text(l, j->why[0] ? j->why : NULL);
}

static void run_delay(struct event_work *w, enum retry_cause cause, bool in_transaction)
{
    struct statement_list l = {0};
    int64_t wait_ms = 0;
    enum retry retry = retry_decide(cause, w->job.attempts + 1, backoff_random(), &wait_ms);
    machine_go(&EVENT_WORK, w->state, DELAYING);
    if (in_transaction)
        statement_list_add(&l, "rollback");
    if (retry == RETRY_LATER) {
        statement_list_add(&l, SQL_DELAY_EVENT);
        param_text(&l, w->job.event.id);
        param_text(&l, w->job.why);
        param_i64(&l, wait_ms);
        metric_count(METRIC_OF_WEBHOOKS_WORKED, "delayed");
        log_delay(w, cause, wait_ms);
    } else {
        w->verdict = retry == RETRY_FAIL ? VERDICT_FAIL : VERDICT_IGNORE;
        add_finish(w, &l);
        log_end(w);
    }
    statement_list_run(&l, w->pg, DEADLINE_MS, take_delay, w);
}

/* Returns true if the work has ended, or is being put off, because of the error. */
static bool end_on_error(struct event_work *w, const struct err *error)
{
    if (!error)
        return false;
    if (error->kind != ERR_REFUSED || w->closing || !pg_is_ready(w->pg)) {
        end_work(w, WORK_LOST);
        return true;
    }
    job_set_why(&w->job, "%.150s", error->text);
    run_delay(w, pg_is_data_fault(error) ? CAUSE_REFUSED : CAUSE_PEER, false);
    return true;
}

/* Writing the effect. */

static void take_write(void *owner, const struct err *error, PGresult **results, int n)
{
    struct event_work *w = owner;
    (void)n;
    if (end_on_error(w, error))
        return;
    stage_crash_point("after_commit");
    log_end(w);
    if (w->verdict == VERDICT_APPLY && w->job.family->log_effect)
        w->job.family->log_effect(&w->job, results[w->job.answer_at]);
    if (w->verdict == VERDICT_APPLY && w->job.tenant && !w->closing)
        run_cache(w);
    else
        end_work(w, WORK_ENDED);
}

static void run_write(struct event_work *w, enum verdict verdict)
{
    struct job *j = &w->job;
    struct statement_list l = {0};
    machine_go(&EVENT_WORK, w->state, WRITING);
    w->verdict = verdict;
    if (verdict == VERDICT_APPLY) {
        statement_list_add(&l, SQL_LOCK_TENANT);
        param_text(&l, j->tenant);
        j->family->apply(j, &l);
    }
    add_finish(w, &l);
    statement_list_add(&l, "commit");
    stage_crash_point("before_commit");
    statement_list_run(&l, w->pg, DEADLINE_MS, take_write, w);
}

static void run_fetch(struct event_work *w, const char *path, const char *id);

/* Judging. */

static void judge(struct event_work *w)
{
    struct job *j = &w->job;
    j->why[0] = '\0'; /* of what was missing before the fetch */
    enum verdict verdict = j->family->judge(j);
    if (verdict == VERDICT_UNCLEAR) {
        run_delay(w, CAUSE_UNCLEAR, true);
    } else if (verdict != VERDICT_NEEDS_CUSTOMER) {
        run_write(w, verdict);
    } else if (w->fetcher) {
        j->fetching_customer = true;
        run_fetch(w, "v1/customers", j->customer_id);
    } else {
        run_delay(w, CAUSE_NO_TENANT, true);
    }
}

static void take_read(void *owner, const struct err *error, PGresult **results, int n)
{
    struct event_work *w = owner;
    (void)n;
    if (end_on_error(w, error))
        return;
    job_take_reads(&w->job, results);
    judge(w);
}

static void run_read(struct event_work *w)
{
    struct statement_list l = {0};
    machine_go(&EVENT_WORK, w->state, READING);
    job_add_reads(&w->job, &l);
    statement_list_run(&l, w->pg, LOCK_DEADLINE_MS, take_read, w);
}

/* Fetching. */

static void take_fetch(void *owner, const struct err *error, json_t *object)
{
    struct event_work *w = owner;
    struct job *j = &w->job;
    /* The connection may have been lost meanwhile, and the locks with it. */
    if (w->closing || w->connection_lost || !pg_is_ready(w->pg)) {
        end_work(w, WORK_LOST);
        return;
    }
    if (error) {
        job_set_why(j, "fetch from Stripe: %.150s", error->text);
        run_delay(w, CAUSE_PEER, true);
        return;
    }
    if (j->fetching_customer)
        j->fetched_customer = object ? json_incref(object) : json_object();
    else if (object)
        j->fetched = json_incref(object);
    if (j->family->parse(j))
        run_write(w, VERDICT_FAIL);
    else if (j->family->is_report)
        judge(w);
    else
        run_read(w);
}

static void run_fetch(struct event_work *w, const char *path, const char *id)
{
    machine_go(&EVENT_WORK, w->state, FETCHING);
    fetcher_get(w->fetcher, path, id, take_fetch, w);
}

static void take_lock(void *owner, const struct err *error, PGresult **results, int n)
{
    struct event_work *w = owner;
    (void)results, (void)n;
    if (end_on_error(w, error))
        return;
    if (w->fetcher)
        run_fetch(w, w->job.family->path, w->job.event.object_id);
    else
        run_read(w);
}

static void run_lock(struct event_work *w)
{
    struct statement_list l = {0};
    machine_go(&EVENT_WORK, w->state, LOCKING);
    statement_list_add(&l, SQL_LOCK_CUSTOMER);
    param_text(&l, w->job.customer_id);
    statement_list_run(&l, w->pg, LOCK_DEADLINE_MS, take_lock, w);
}

static bool has_type(const struct family *family, const char *type)
{
    size_t length = strlen(family->prefix);
    if (strncmp(type, family->prefix, length) != 0)
        return false;
    for (const char *const *ending = family->endings; *ending; ending++)
        if (!strcmp(type + length, *ending))
            return true;
    return false;
}

static const struct family *family_of(const char *type)
{
    static const struct family *const FAMILIES[] = {&CUSTOMER_FAMILY, &SUBSCRIPTION_FAMILY,
                                                    &INVOICE_FAMILY, &METER_REPORT_FAMILY};
    for (size_t i = 0; i < sizeof FAMILIES / sizeof *FAMILIES; i++)
        if (has_type(FAMILIES[i], type))
            return FAMILIES[i];
    return NULL;
}

static void start_report(struct event_work *w)
{
    struct job *j = &w->job;
    if (j->family->parse(j) == 0)
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
        job_set_why(j, "a %s event, but STRIPE_LIVE=%d", live ? "test" : "live", live);
        run_write(w, VERDICT_IGNORE);
    } else if (j->family && j->family->is_report) {
        start_report(w);
    } else if (!j->family || !j->event.object || !j->event.object_id) {
        job_set_why(j, "this type of event has no effect in meterline");
        run_write(w, VERDICT_IGNORE);
    } else if (j->family->parse(j)) {
        run_write(w, VERDICT_FAIL);
    } else {
        run_lock(w);
    }
}

void event_work_fail(struct event_work *w)
{
    run_write(w, VERDICT_FAIL);
}
