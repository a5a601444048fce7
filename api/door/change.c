/* Requests that change something.
 *
 * The happy path, under an Idempotency-Key: a row of api_requests is taken; the handler's
 * statements run in a transaction; the history, the stored answer and COMMIT follow; the answer
 * goes out.
 *
 * Failure modes: the process dies at any point: what was not committed is not there, and the row is
 * free once its lease has passed, which another try takes over. This process is so slow that
 * another one has taken it over: finish_api_request raises, and all is rolled back. The outcome of
 * COMMIT is unknown: 503, and a repetition finds the answer, or does it all again. */
#include "api/door/door_internal.h"
#include "api/door/request_internal.h"
#include "api/sql.h"
#include "common/contract.h"
#include "common/metric_table.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LEASE_MS = 5000, FINISH_MAX = 3, NUMBER_SIZE = 24 };

static const char *tenant_of(const struct api_request *r)
{
    return r->tenant ? r->tenant : "";
}

/* The request under its key. */

static void add_part(crypto_generichash_state *state, const char *text, size_t length)
{
    uint64_t n = length;
    crypto_generichash_update(state, (const unsigned char *)&n, sizeof n);
    crypto_generichash_update(state, (const unsigned char *)text, length);
}

static void digest_of(const struct api_request *r, unsigned char out[REQUEST_DIGEST_BYTES])
{
    const struct http_exchange *x = r->internal->exchange;
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, REQUEST_DIGEST_BYTES);
    add_part(&state, r->caller.key_id, strlen(r->caller.key_id));
    add_part(&state, x->method, strlen(x->method));
    add_part(&state, x->target, strlen(x->target));
    add_part(&state, r->content_type, strlen(r->content_type));
    add_part(&state, r->body, r->body_length);
    crypto_generichash_final(&state, out, REQUEST_DIGEST_BYTES);
}

static void send_stored(struct api_request *r, const PGresult *result)
{
    struct api_internal *in = r->internal;
    if (PQgetisnull(result, 0, 3)) {
        api_fail(r, 409, "told_once", "Idempotency-Key",
                 "this was done, and its answer had a secret, which is told once and stored "
                 "nowhere: %s",
                 r->route->lost);
        return;
    }
    in->status = atoi(PQgetvalue(result, 0, 2));
    api_header(r, "Idempotency-Replayed", "true");
    request_send(r, PQgetvalue(result, 0, 3), (size_t)PQgetlength(result, 0, 3));
}

static void take_begun(struct api_request *r, PGresult **results, int n)
{
    struct api_internal *in = r->internal;
    const char *outcome = PQgetvalue(results[0], 0, 0);
    (void)n;
    if (strcmp(outcome, "done") == 0) {
        send_stored(r, results[0]);
    } else if (strcmp(outcome, "busy") == 0) {
        api_header(r, "Retry-After", "1");
        api_fail(
            r, 409, "request_in_progress", "Idempotency-Key",
            "a request with this Idempotency-Key is being worked on: send it again in a second");
    } else if (strcmp(outcome, "other") == 0) {
        api_fail(r, 409, "idempotency_key_reused", "Idempotency-Key",
                 "this Idempotency-Key was used for another request within 24 hours");
    } else {
        in->is_kept = true;
        in->attempt = atoi(PQgetvalue(results[0], 0, 1));
        in->id = xstrdup(PQgetvalue(results[0], 0, 5));
        r->id = in->id;
        if (!PQgetisnull(results[0], 0, 4))
            r->progress = json_loads(PQgetvalue(results[0], 0, 4), 0, NULL);
        in->saved(r);
    }
}

void change_begin_request(struct api_request *r, void (*go_on)(struct api_request *r))
{
    struct api_internal *in = r->internal;
    unsigned char digest[REQUEST_DIGEST_BYTES];
    char lease[NUMBER_SIZE];
    struct pg_statement s;
    if (!in->key_header && !(r->route->flags & API_IS_RESUMED)) {
        go_on(r);
        return;
    }
    in->saved = go_on;
    digest_of(r, digest);
    snprintf(lease, sizeof lease, "%d", LEASE_MS);
    pg_statement_init(&s, SQL_BEGIN_REQUEST);
    pg_add_text(&s, tenant_of(r));
    pg_add_text(&s, r->idempotency_key);
    pg_add_binary(&s, PG_BYTEA, digest, sizeof digest);
    pg_add_text(&s, r->route->method);
    pg_add_text(&s, r->route->path);
    pg_add_text(&s, r->caller.key_id);
    pg_add_text(&s, r->context->instance);
    pg_add_text(&s, lease);
    api_sql(r, &s, 1, take_begun);
}

static void add_row(struct pg_statement *s, const struct api_request *r, const char *sql,
                    char attempt[NUMBER_SIZE])
{
    snprintf(attempt, NUMBER_SIZE, "%d", r->internal->attempt);
    pg_statement_init(s, sql);
    pg_add_text(s, tenant_of(r));
    pg_add_text(s, r->idempotency_key);
    pg_add_text(s, r->context->instance);
    pg_add_text(s, attempt);
}

/* Progress. */

static void take_saved(struct api_request *r, PGresult **results, int n)
{
    struct api_internal *in = r->internal;
    (void)n;
    if (PQntuples(results[0]) == 0) {
        in->is_kept = false;
        api_header(r, "Retry-After", "1");
        api_fail(r, 409, "request_in_progress", "Idempotency-Key",
                 "another process has taken this request over: send it again in a second");
        return;
    }
    in->saved(r);
}

void api_save_progress(struct api_request *r, json_t *progress, void (*done)(struct api_request *r))
{
    struct api_internal *in = r->internal;
    char attempt[NUMBER_SIZE];
    struct pg_statement s;
    assert(!in->pg);
    json_decref(r->progress);
    r->progress = progress;
    if (!in->is_kept) {
        done(r);
        return;
    }
    char *text = json_dumps(progress, JSON_COMPACT);
    in->saved = done;
    add_row(&s, r, SQL_SAVE_PROGRESS, attempt);
    pg_add_text(&s, text);
    api_sql(r, &s, 1, take_saved);
    free(text);
}

/* The transaction. */

static void give_back(struct api_request *r)
{
    struct api_internal *in = r->internal;
    if (in->pg)
        pg_pool_give(r->context->pool, in->pg);
    in->pg = NULL;
}

static void take_change(void *owner, const struct err *error, PGresult **results, int n)
{
    struct api_request *r = owner;
    struct api_internal *in = r->internal;
    if (error) {
        give_back(r); /* rolled back, or the connection is gone */
        api_fail_err(r, error);
        return;
    }
    int begun = in->waiting_n; /* 1: results begin with that of BEGIN */
    in->waiting_n = 0;
    in->done(r, results + begun, n - begun);
}

static bool has_lost_it(struct api_request *r)
{
    struct err e;
    if (pg_is_ready(r->internal->pg))
        return false;
    give_back(r);
    err_set(&e, ERR_CLOSED, "the connection was lost between two statements of a change");
    api_fail_err(r, &e);
    return true;
}

static void run_first(struct api_request *r, const struct pg_statement *statements, int n)
{
    struct pg_statement *all = xcalloc((size_t)n + 1, sizeof *all);
    pg_statement_init(&all[0], "begin");
    memcpy(all + 1, statements, (size_t)n * sizeof *all);
    r->internal->waiting_n = 1;
    pg_run(r->internal->pg, all, n + 1, API_DEADLINE_MS, take_change, r);
    free(all);
}

/* What had to wait for a connection has its values copied: see pg_pool.c. */
static void on_taken(void *owner, struct pg *pg, const struct err *error)
{
    struct api_request *r = owner;
    struct api_internal *in = r->internal;
    if (!pg) {
        api_fail_err(r, error);
        return;
    }
    in->pg = pg;
    run_first(r, in->copies ? in->copies : in->waiting, in->waiting_n);
    free(in->copies);
    in->copies = NULL;
}

void api_change(struct api_request *r, const struct pg_statement *statements, int n,
                api_sql_fn done)
{
    struct api_internal *in = r->internal;
    assert(request_is_change(r));
    in->done = done;
    if (in->pg) {
        in->waiting_n = 0;
        if (!has_lost_it(r))
            pg_run(in->pg, statements, n, API_DEADLINE_MS, take_change, r);
        return;
    }
    in->copies = pg_copy_statements(statements, n);
    in->waiting_n = n;
    pg_pool_take(r->context->pool, API_DEADLINE_MS, on_taken, r);
}

/* The history. */

void api_note(struct api_request *r, const char *object_id, json_t *before, json_t *after)
{
    struct api_internal *in = r->internal;
    assert(!in->is_noted);
    in->is_noted = true;
    in->object_id = object_id ? xstrdup(object_id) : NULL;
    in->before = before;
    in->after = after;
}

void api_note_tenant(struct api_request *r, const char *tenant)
{
    free(r->internal->noted_tenant);
    r->internal->noted_tenant = xstrdup(tenant);
}

static char *detail_of(const struct api_request *r)
{
    const struct api_internal *in = r->internal;
    json_t *detail = json_pack("{s:s,s:O?,s:O?}", "key", r->caller.key_id, "before", in->before,
                               "after", in->after);
    assert(detail);
    char *text = json_dumps(detail, JSON_COMPACT);
    json_decref(detail);
    return text;
}

static void add_history(struct pg_statement *s, const struct api_request *r, const char *detail)
{
    const struct api_internal *in = r->internal;
    pg_statement_init(s, SQL_ADD_HISTORY);
    pg_add_text(s, in->noted_tenant ? in->noted_tenant : tenant_of(r));
    pg_add_text(s, r->route->history);
    pg_add_text(s, in->object_id);
    pg_add_text(s, r->caller.name);
    pg_add_text(s, detail);
}

/* The end. */

/* Stored, and out. */
static void take_finished(void *owner, const struct err *error, PGresult **results, int n)
{
    struct api_request *r = owner;
    struct api_internal *in = r->internal;
    (void)results, (void)n;
    give_back(r);
    if (!error) {
        if (in->is_noted || r->route->history)
            log_info(change_committed, LOG_STR("kind", r->route->history),
                     LOG_STR("key", r->caller.name),
                     LOG_STR("tenant", in->noted_tenant ? in->noted_tenant : r->tenant));
        stage_crash_point("api_after_commit");
        request_send(r, in->answer.data, in->answer.length);
        return;
    }
    in->is_kept = in->is_kept && strcmp(error->sqlstate, SQLSTATE_FENCED) != 0;
    api_fail_err(r, error);
}

static bool is_stored_answer(int status)
{
    return status < 400 || status == 400 || status == 402 || status == 404;
}

void change_finish(struct api_request *r, const char *text, size_t length)
{
    struct api_internal *in = r->internal;
    struct pg_statement s[FINISH_MAX];
    char attempt[NUMBER_SIZE];
    char status[NUMBER_SIZE];
    char *detail = NULL;
    int n = 0;
    assert(r->route->history || (r->route->flags & API_IS_NO_CHANGE));
    if (!in->pg && !in->is_kept && !r->route->history) {
        request_send(r, text, length);
        return;
    }
    if (in->is_kept_open && !r->route->history) {
        change_abandon(r, text, length);
        return;
    }
    if (in->pg && has_lost_it(r))
        return;
    buf_clear(&in->answer);
    buf_add(&in->answer, text, length);
    if (r->route->history) {
        detail = detail_of(r);
        add_history(&s[n++], r, detail);
    }
    if (in->is_kept && in->is_kept_open) {
        add_row(&s[n++], r, SQL_RELEASE_REQUEST, attempt);
    } else if (in->is_kept) {
        snprintf(status, sizeof status, "%d", in->status);
        add_row(&s[n], r, SQL_FINISH_REQUEST, attempt);
        pg_add_text(&s[n], status);
        pg_add_text(&s[n++], in->is_told_once ? NULL : in->answer.data);
    }
    stage_crash_point("api_before_commit");
    if (in->pg) {
        pg_statement_init(&s[n++], "commit");
        pg_run(in->pg, s, n, API_DEADLINE_MS, take_finished, r);
    } else {
        pg_pool_run(r->context->pool, s, n, API_DEADLINE_MS, take_finished, r);
    }
    free(detail);
}

/* Rolled back, and given back, or the refusal stored: in any case it goes out. */
static void take_abandoned(void *owner, const struct err *error, PGresult **results, int n)
{
    struct api_request *r = owner;
    (void)error, (void)results, (void)n;
    request_send(r, r->internal->answer.data, r->internal->answer.length);
}

static void end_abandoned(struct api_request *r)
{
    struct api_internal *in = r->internal;
    struct pg_statement s;
    char attempt[NUMBER_SIZE];
    char status[NUMBER_SIZE];
    if (!in->is_kept) {
        request_send(r, in->answer.data, in->answer.length);
        return;
    }
    bool is_stored = is_stored_answer(in->status) && !in->is_kept_open;
    add_row(&s, r, is_stored ? SQL_FINISH_REQUEST : SQL_RELEASE_REQUEST, attempt);
    if (is_stored) {
        snprintf(status, sizeof status, "%d", in->status);
        pg_add_text(&s, status);
        pg_add_text(&s, in->answer.data);
    }
    pg_pool_run(r->context->pool, &s, 1, API_DEADLINE_MS, take_abandoned, r);
}

static void take_rolled_back(void *owner, const struct err *error, PGresult **results, int n)
{
    struct api_request *r = owner;
    (void)error, (void)results, (void)n;
    give_back(r);
    end_abandoned(r);
}

void change_abandon(struct api_request *r, const char *text, size_t length)
{
    struct api_internal *in = r->internal;
    struct pg_statement s;
    buf_clear(&in->answer);
    buf_add(&in->answer, text, length);
    if (in->pg && pg_is_ready(in->pg)) {
        pg_statement_init(&s, "rollback");
        pg_run(in->pg, &s, 1, API_DEADLINE_MS, take_rolled_back, r);
        return;
    }
    give_back(r);
    end_abandoned(r);
}
