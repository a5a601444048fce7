/* How a worker finds out what to do: it locks the customer, fetches the object if it may, reads
 * what is stored, and asks the event's family. */
#include "webhookd/worker_internal.h"

#include "webhookd/fetch.h"
#include "webhookd/sql.h"

static void run_read(struct worker *w);
static void run_fetch(struct worker *w, const char *path, const char *id);

/* Judging. */

static void judge(struct worker *w)
{
    struct job *j = &w->job;
    enum verdict verdict = j->family->judge(j);
    if (verdict == VERDICT_UNCLEAR) {
        worker_run_delay(w, RETRY_UNCLEAR, true);
    } else if (verdict != VERDICT_CUSTOMER) {
        worker_run_write(w, verdict);
    } else if (w->d->fetcher) {
        j->asking_customer = true;
        run_fetch(w, "v1/customers", j->customer_id);
    } else {
        worker_run_delay(w, RETRY_NO_TENANT, true);
    }
}

static void take_read(void *owner, const struct err *error, PGresult **results, int n)
{
    struct worker *w = owner;
    (void)n;
    if (worker_is_lost(w, error))
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
    if (w->closing || w->lost || !pg_is_ready(w->pg)) {
        worker_rest(w, POLL_MS);
        worker_part_closed(w);
        return;
    }
    w->open_parts--;
    if (error) {
        job_say(j, "fetch from Stripe: %.150s", error->text);
        worker_run_delay(w, RETRY_PEER, true);
        return;
    }
    keep_fetched(j, object);
    if (j->family->read(j))
        worker_run_write(w, VERDICT_FAIL);
    else if (j->family->is_report)
        judge(w);
    else
        run_read(w);
}

static void run_fetch(struct worker *w, const char *path, const char *id)
{
    worker_go(w, FETCHING);
    w->open_parts++;
    fetch_object(w->d->fetcher, path, id, take_fetch, w);
}

static void take_lock(void *owner, const struct err *error, PGresult **results, int n)
{
    struct worker *w = owner;
    (void)results, (void)n;
    if (worker_is_lost(w, error))
        return;
    if (w->d->fetcher)
        run_fetch(w, w->job.family->path, w->job.event.object_id);
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

static void start_report(struct worker *w)
{
    struct job *j = &w->job;
    if (j->family->read(j) == 0)
        judge(w);
    else if (w->d->fetcher)
        run_fetch(w, j->family->path, j->event.id);
    else
        worker_run_write(w, VERDICT_FAIL);
}

void worker_start_job(struct worker *w)
{
    struct job *j = &w->job;
    bool live = w->d->config.stripe_live;
    j->family = family_of(j->event.type);
    if (j->event.livemode != live) {
        job_say(j, "a %s event, while STRIPE_LIVE=%d", live ? "test" : "live", live);
        worker_run_write(w, VERDICT_IGNORE);
    } else if (j->family && j->family->is_report) {
        start_report(w);
    } else if (!j->family || !j->event.object || !j->event.object_id) {
        job_say(j, "this type has no effect here");
        worker_run_write(w, VERDICT_IGNORE);
    } else if (j->family->read(j)) {
        worker_run_write(w, VERDICT_FAIL);
    } else {
        run_lock(w);
    }
}
