#include "api/stripe/job.h"

#include "api/sql.h"
#include "common/clock.h"
#include "common/stripe/objects/stripe_event.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOCK_WAIT_MS = 15000, WAIT_MAX_MS = 250 };

struct job *job_of(const struct api_request *r)
{
    return r->state;
}

static void job_free(void *state)
{
    struct job *j = state;
    if (j->has_lock)
        stripe_work_drop(j->work, j->tenant, j->owner);
    json_decref(j->state);
    json_decref(j->object);
    json_decref(j->subscription);
    json_decref(j->prices);
    json_decref(j->schedule);
    json_decref(j->kept);
    json_decref(j->live);
    json_decref(j->lookup_keys);
    json_decref(j->sessions);
    json_decref(j->checkout);
    json_decref(j->view);
    json_decref(j->extra);
    for (int i = 0; i < j->hints_n; i++) {
        free(j->hints[i].type);
        free(j->hints[i].object);
        free(j->hints[i].payload);
    }
    free(j->path);
    free(j->body);
    free(j->tenant);
    free(j->customer);
    free(j->interval);
    free(j->newest_entry);
    free(j->shown_id);
    free(j);
}

/* Failing. */

void job_fail(struct job *j, int status, const char *code, const char *param, const char *format,
              ...)
{
    char message[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    str_make_utf8(message);
    api_fail(j->r, status, code, param, "%s", message);
}

void job_fail_by(struct job *j, const struct stripe_fault *fault)
{
    if (fault->retry_after_s > 0) {
        char seconds[24];
        (void)snprintf(seconds, sizeof seconds, "%lld", (long long)fault->retry_after_s);
        api_header(j->r, "Retry-After", seconds);
    }
    api_fail(j->r, fault->status, fault->code, fault->param, "%s", fault->message);
}

/* Returns true if it was answered so. */
static bool fail_if_closing(struct job *j)
{
    if (!stripe_work_is_closing(j->work))
        return false;
    job_fail(j, 503, "stopping", NULL, "This server is being stopped: send the request again");
    return true;
}

/* Waiting. */

static void on_pause(void *owner)
{
    struct job *j = owner;
    if (!fail_if_closing(j))
        j->next(j);
}

void job_pause(struct job *j, uint64_t ms, job_fn next)
{
    if (fail_if_closing(j))
        return;
    j->next = next;
    stripe_work_pause(j->work, ms, on_pause, j);
}

uint64_t job_next_wait_ms(struct job *j)
{
    uint64_t wait_ms = j->wait_ms;
    j->wait_ms = 2 * wait_ms < WAIT_MAX_MS ? 2 * wait_ms : WAIT_MAX_MS;
    return wait_ms;
}

/* The lock, and what is there. */

static void take_state(struct api_request *r, PGresult **results, int n)
{
    struct job *j = job_of(r);
    (void)n;
    json_error_t why;
    json_decref(j->state);
    j->state = json_loads(PQgetvalue(results[0], 0, 0), 0, &why);
    assert(j->state);
    j->known = json_object_get(j->state, "known");
    json_t *open = json_array_get(json_object_get(j->state, "open"), 0);
    if (fail_if_closing(j))
        return;
    if (open)
        job_resume(j, open);
    else
        j->begin(j);
}

void job_read_state(struct job *j)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_READ_STRIPE_STATE);
    pg_add_text(&s, j->tenant);
    pg_add_text(&s, j->digest);
    pg_add_text(&s, *j->plan ? j->plan : NULL);
    pg_add_text(&s, j->r->context->config->stripe_live ? "true" : "false");
    api_sql(j->r, &s, 1, take_state);
}

static void run_lock(struct job *j);

static void take_lock(struct api_request *r, PGresult **results, int n)
{
    struct job *j = job_of(r);
    (void)n;
    if (PQntuples(results[0]) > 0) {
        j->has_lock = true;
        stripe_work_hold(j->work, j->owner);
        job_read_state(j);
    } else if (clock_monotonic_ms() - j->begun_ms < LOCK_WAIT_MS) {
        job_pause(j, job_next_wait_ms(j), run_lock);
    } else {
        api_header(r, "Retry-After", "5");
        job_fail(j, 409, "tenant_busy", NULL,
                 "Another request is changing what this tenant has at Stripe: send it again later");
    }
}

static void run_lock(struct job *j)
{
    struct pg_statement s;
    char lease[12];
    (void)snprintf(lease, sizeof lease, "%d", TENANT_LEASE_MS);
    pg_statement_init(&s, SQL_TAKE_TENANT_LOCK);
    pg_add_text(&s, j->tenant);
    pg_add_text(&s, j->owner);
    pg_add_text(&s, lease);
    api_sql(j->r, &s, 1, take_lock);
}

void job_start(struct api_request *r, const char *plan, job_fn begin)
{
    struct stripe_work *work = r->context->stripe;
    if (!stripe_work_calls(work)) {
        api_fail(r, 503, "stripe_not_configured", NULL,
                 "This installation has no key of Stripe's (STRIPE_SECRET_KEY)");
        return;
    }
    struct job *j = xcalloc(1, sizeof *j);
    j->r = r;
    j->work = work;
    j->tenant = xstrdup(r->tenant);
    j->begin = begin;
    j->begun_ms = clock_monotonic_ms();
    j->wait_ms = JOB_WAIT_FIRST_MS;
    j->status = 200;
    if (plan)
        (void)snprintf(j->plan, sizeof j->plan, "%s", plan);
    uuid_v7(clock_unix_ms(), j->owner);
    char *route = xasprintf("%s %s", r->route->method, r->route->path);
    operation_request_digest(j->tenant, route, r->id, j->digest);
    free(route);
    r->state = j;
    r->release = job_free;
    run_lock(j);
}

/* Whoever stood still may have been followed by another request: looked at right before. */
void job_look_at_lock(struct job *j, api_sql_fn done)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_LOOK_AT_TENANT_LOCK);
    pg_add_text(&s, j->tenant);
    pg_add_text(&s, j->owner);
    api_sql(j->r, &s, 1, done);
}

bool job_fail_if_taken_over(struct job *j, const PGresult *held)
{
    if (PQntuples(held) > 0)
        return fail_if_closing(j);
    job_fail(j, 409, "tenant_busy", NULL,
             "Another request has taken over what this tenant has at Stripe: send it again");
    return true;
}

/* Calls without a note: reading, and DELETE, which may be repeated. */

static void on_plain(void *owner, const struct stripe_reply *reply)
{
    struct job *j = owner;
    if (reply->outcome == STRIPE_DONE) {
        j->done(j, reply->object);
    } else if (j->missing_is_fine && reply->outcome == STRIPE_REFUSED && reply->status == 404) {
        j->missing_is_fine = false;
        j->done(j, NULL);
    } else {
        stripe_fault_of(&j->fault, reply);
        job_fail_by(j, &j->fault);
    }
}

void job_get(struct job *j, const char *path, struct stripe_form *form, job_object_fn done)
{
    const struct stripe_request request = {
        .method = "GET", .path = path, .form = form ? stripe_form_body(form) : ""};
    j->done = done;
    if (!fail_if_closing(j))
        stripe_calls_send(stripe_work_calls(j->work), &request, on_plain, j);
    if (form)
        stripe_form_done(form);
}

static void take_held(struct api_request *r, PGresult **results, int n)
{
    struct job *j = job_of(r);
    (void)n;
    if (job_fail_if_taken_over(j, results[0]))
        return;
    const struct stripe_request request = {.method = "DELETE", .path = j->path, .form = j->body};
    stripe_calls_send(stripe_work_calls(j->work), &request, on_plain, j);
}

void job_delete(struct job *j, const char *path, struct stripe_form *form, job_object_fn done)
{
    free(j->path);
    free(j->body);
    j->path = xstrdup(path);
    j->body = stripe_form_take(form);
    j->done = done;
    job_look_at_lock(j, take_held);
}

/* POSTs. */

void job_end_operation(struct job *j, const char *key, const char *state, const char *object,
                       const char *error, api_sql_fn done)
{
    struct pg_statement s;
    pg_statement_init(&s, SQL_END_OPERATION);
    pg_add_text(&s, key);
    pg_add_text(&s, state);
    pg_add_text(&s, object);
    pg_add_text(&s, error);
    api_sql(j->r, &s, 1, done);
}

static void take_done(struct api_request *r, PGresult **results, int n)
{
    struct job *j = job_of(r);
    (void)results, (void)n;
    json_t *object = j->object;
    j->object = NULL;
    if (!fail_if_closing(j))
        j->done(j, object);
    json_decref(object);
}

static void take_refused(struct api_request *r, PGresult **results, int n)
{
    struct job *j = job_of(r);
    (void)results, (void)n;
    job_fn refused = j->refused;
    j->refused = NULL;
    if (refused && !stripe_work_is_closing(j->work))
        refused(j);
    else
        job_fail_by(j, &j->fault);
}

/* One that may have been done stays open: the next request of the tenant resumes it. */
static void on_posted(void *owner, const struct stripe_reply *reply)
{
    struct job *j = owner;
    if (reply->outcome == STRIPE_DONE) {
        stage_crash_point("after_stripe");
        j->object = json_incref(reply->object);
        j->refused = NULL;
        job_end_operation(j, j->key, "done", stripe_text(j->object, "id"), NULL, take_done);
        return;
    }
    stripe_fault_of(&j->fault, reply);
    if (reply->outcome == STRIPE_UNKNOWN)
        job_fail_by(j, &j->fault);
    else
        job_end_operation(j, j->key, "refused", NULL, j->fault.message, take_refused);
}

static void take_begun(struct api_request *r, PGresult **results, int n)
{
    struct job *j = job_of(r);
    (void)n;
    if (job_fail_if_taken_over(j, results[0]))
        return;
    const struct stripe_request request = {
        .method = "POST", .path = j->path, .form = j->body, .idempotency_key = j->key};
    stage_crash_point("before_stripe");
    stripe_calls_send(stripe_work_calls(j->work), &request, on_posted, j);
}

static bool makes_schedule(const char *operation)
{
    return !strcmp(operation, "create_schedule") || !strcmp(operation, "restore_schedule");
}

/* How many keys of this operation are spent. A schedule that was made is made again only when it
 * has been released since: the old key would give that one. */
static int attempts(const struct job *j, const char *operation)
{
    size_t i;
    const json_t *mine;
    int n = 0;
    bool counts_done = makes_schedule(operation);
    json_array_foreach(json_object_get(j->state, "mine"), i, mine)
    {
        const char *state = stripe_text(mine, "state");
        n += !strcmp(stripe_text(mine, "operation"), operation) &&
             (!strcmp(state, "spent") || (counts_done && !strcmp(state, "done")));
    }
    return n;
}

void job_post(struct job *j, const char *operation, const char *path, struct stripe_form *form,
              bool is_marked, job_object_fn done)
{
    struct pg_statement s;
    const struct operation o = {.tenant = j->tenant,
                                .name = operation,
                                .request_digest = j->digest,
                                .path = path,
                                .body = stripe_form_body(form),
                                .attempt = attempts(j, operation)};
    operation_key(&o, j->key);
    if (is_marked)
        stripe_form_text(form, j->key, "metadata[%s]", OPERATION_METADATA);
    free(j->path);
    free(j->body);
    j->path = xstrdup(path);
    j->body = stripe_form_take(form);
    j->done = done;
    pg_statement_init(&s, SQL_BEGIN_OPERATION);
    pg_add_text(&s, j->tenant);
    pg_add_text(&s, j->owner);
    pg_add_text(&s, operation);
    pg_add_text(&s, j->digest);
    pg_add_text(&s, j->key);
    pg_add_text(&s, j->path);
    pg_add_text(&s, j->body);
    pg_add_text(&s, j->customer);
    api_sql(j->r, &s, 1, take_begun);
}

const char *job_made(const struct job *j, const char *operation)
{
    size_t i;
    const json_t *mine;
    json_array_foreach(json_object_get(j->state, "mine"), i, mine)
    {
        if (!strcmp(stripe_text(mine, "operation"), operation) &&
            !strcmp(stripe_text(mine, "state"), "done") && stripe_text(mine, "object"))
            return stripe_text(mine, "object");
    }
    return NULL;
}
