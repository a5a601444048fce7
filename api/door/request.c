/* Parameters by name, and answers. */
#include "api/door/door_internal.h"
#include "api/door/request_internal.h"
#include "common/clock.h"
#include "common/metric_table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Parameters. */

static const struct api_value *value_of(const struct api_request *r, const char *name)
{
    int i = 0;
    for (const struct api_param *p = r->route->params; p && p->place != API_END; p++, i++)
        if (strcmp(p->name, name) == 0)
            return &r->internal->values[i];
    abort(); /* the route has no parameter of this name */
}

bool api_given(const struct api_request *r, const char *name)
{
    return value_of(r, name)->given;
}

const char *api_text(const struct api_request *r, const char *name)
{
    return value_of(r, name)->text;
}

int64_t api_whole(const struct api_request *r, const char *name)
{
    return value_of(r, name)->whole;
}

bool api_flag(const struct api_request *r, const char *name)
{
    return value_of(r, name)->whole != 0;
}

json_t *api_json(const struct api_request *r, const char *name)
{
    return value_of(r, name)->json;
}

int64_t api_list_limit(const struct api_request *r)
{
    return api_whole(r, "limit");
}

bool request_is_change(const struct api_request *r)
{
    return strcmp(r->route->method, "GET") != 0;
}

/* What goes out. */

static void count(const struct api_request *r)
{
    const struct api_internal *in = r->internal;
    struct door *d = in->door;
    metric_add(d->outcomes[in->status < 400 ? 0 : in->status < 500 ? 1 : 2], 1);
    metric_observe(d->seconds, clock_monotonic_us() - in->began_us);
}

static void log_failure(const struct api_request *r)
{
    struct api_internal *in = r->internal;
    uint64_t held;
    if (in->status < 500 || in->error.kind == ERR_NONE ||
        !log_repeat_failed(&in->door->failed, clock_monotonic_ms(), &held))
        return;
    log_warn(request_failed, LOG_STR("method", r->route ? r->route->method : ""),
             LOG_STR("path", r->route ? r->route->path : ""), LOG_I64("status", in->status),
             LOG_U64("held_back", held), LOG_STR("sqlstate", in->error.sqlstate),
             LOG_ERR(&in->error));
}

/* Answers are one person's, and no page that a browser shows. */
static void send_headers(const struct api_request *r)
{
    struct api_internal *in = r->internal;
    http_reply_header(in->exchange, "Cache-Control", "no-store");
    http_reply_header(in->exchange, "X-Content-Type-Options", "nosniff");
    http_reply_header(in->exchange, "Content-Security-Policy",
                      "default-src 'none'; frame-ancestors 'none'");
    http_reply_header(in->exchange, "Referrer-Policy", "no-referrer");
    for (int i = 0; i < in->headers; i++)
        http_reply_header(in->exchange, in->header_names[i], in->header_values[i]);
}

void request_send(struct api_request *r, const char *text, size_t length)
{
    struct api_internal *in = r->internal;
    count(r);
    log_failure(r);
    send_headers(r);
    http_reply(in->exchange, in->status, "application/json", text, length);
    in->exchange = NULL;
    request_free(r);
}

void api_status(struct api_request *r, int status)
{
    r->internal->status = status;
}

void api_header(struct api_request *r, const char *name, const char *value)
{
    struct api_internal *in = r->internal;
    assert((size_t)in->headers < sizeof in->header_names / sizeof *in->header_names);
    in->header_names[in->headers] = xstrdup(name);
    in->header_values[in->headers++] = xstrdup(value);
}

void api_answer_text(struct api_request *r, const char *json, size_t length)
{
    if (request_is_change(r))
        change_finish(r, json, length);
    else
        request_send(r, json, length);
}

void api_answer(struct api_request *r, json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);
    assert(text);
    json_decref(body);
    api_answer_text(r, text, strlen(text));
    free(text);
}

static void fail(struct api_request *r, const char *code, const char *param, const char *message)
{
    json_t *error = json_pack("{s:{s:s,s:s,s:s?}}", "error", "code", code, "message", message,
                              "param", param && *param ? param : NULL);
    assert(error);
    char *text = json_dumps(error, JSON_COMPACT);
    json_decref(error);
    if (r->route && request_is_change(r))
        change_abandon(r, text, strlen(text));
    else
        request_send(r, text, strlen(text));
    free(text);
}

void request_put_fault(struct api_request *r, const struct params_fault *f)
{
    r->internal->status = f->status;
    fail(r, f->code, f->param, f->message);
}

void api_fail(struct api_request *r, int status, const char *code, const char *param,
              const char *format, ...)
{
    char message[400];
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof message, format, list);
    va_end(list);
    str_make_utf8(message);
    r->internal->status = status;
    fail(r, code, param, message);
}

void api_blame(struct api_request *r, const char *param)
{
    r->internal->blamed = param;
}

void api_keep_open(struct api_request *r)
{
    r->internal->is_kept_open = true;
}

void api_tell_once(struct api_request *r)
{
    assert(r->route->lost);
    r->internal->is_told_once = true;
}

bool api_has_idempotency_key(const struct api_request *r)
{
    return r->internal->key_header != NULL;
}

void api_fail_missing(struct api_request *r, const char *param)
{
    api_fail(r, 404, "not_found", param, "there is no such %s", param ? param : "thing");
}

void api_fail_err(struct api_request *r, const struct err *error)
{
    r->internal->error = *error;
    if (pg_is_data_fault(error)) {
        const char *param = r->internal->blamed;
        api_fail(r, 400, "bad_parameter", param, "%s cannot be used", param ? param : "a value");
        return;
    }
    api_header(r, "Retry-After", "1");
    api_fail(r, 503, "unavailable", NULL,
             "it cannot be done now: send it again later, a change under the same Idempotency-Key");
}

/* Reading. */

static void take_sql(void *owner, const struct err *error, PGresult **results, int n)
{
    struct api_request *r = owner;
    if (error)
        api_fail_err(r, error);
    else
        r->internal->done(r, results, n);
}

void api_sql(struct api_request *r, const struct pg_statement *statements, int n, api_sql_fn done)
{
    r->internal->done = done;
    pg_pool_run(r->context->pool, statements, n, API_DEADLINE_MS, take_sql, r);
}

static void answer_row(struct api_request *r, PGresult **results, int n)
{
    (void)n;
    if (PQntuples(results[0]) == 0)
        api_fail_missing(r, NULL);
    else
        api_answer_text(r, PQgetvalue(results[0], 0, 0), (size_t)PQgetlength(results[0], 0, 0));
}

void api_answer_row(struct api_request *r, const struct pg_statement *statement)
{
    api_sql(r, statement, 1, answer_row);
}

static void answer_list(struct api_request *r, PGresult **results, int n)
{
    struct buf text = {0};
    int rows = PQntuples(results[0]);
    int most = (int)api_list_limit(r);
    (void)n;
    buf_add_str(&text, "{\"data\":[");
    for (int i = 0; i < rows && i < most; i++) {
        if (i > 0)
            buf_add_char(&text, ',');
        buf_add(&text, PQgetvalue(results[0], i, 0), (size_t)PQgetlength(results[0], i, 0));
    }
    buf_printf(&text, "],\"has_more\":%s}", rows > most ? "true" : "false");
    api_answer_text(r, text.data, text.length);
    buf_done(&text);
}

void api_answer_list(struct api_request *r, const struct pg_statement *statement)
{
    api_sql(r, statement, 1, answer_list);
}

/* In pieces. r outlives the exchange. */

int api_stream_begin(struct api_request *r, struct http_pieces pieces)
{
    struct api_internal *in = r->internal;
    struct http_exchange *x = in->exchange;
    count(r);
    send_headers(r);
    in->exchange = http_reply_begin(x, in->status, r->route->gives, pieces) == 0 ? x : NULL;
    return in->exchange ? 0 : -1;
}

void api_stream_write(struct api_request *r, const char *data, size_t length)
{
    http_reply_write(r->internal->exchange, data, length);
}

void api_stream_end(struct api_request *r, bool is_whole)
{
    http_reply_end(r->internal->exchange, is_whole);
    request_free(r);
}

void api_stream_gone(struct api_request *r)
{
    r->internal->exchange = NULL;
    request_free(r);
}
