#include "api/door/door_internal.h"
#include "api/door/request_internal.h"
#include "api/door/routing.h"
#include "common/api_key.h"
#include "common/clock.h"
#include "common/contract.h"
#include "common/log.h"
#include "common/metric_table.h"
#include "common/peer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { BODY_MAX_KB = 64 };

static const char BEARER[] = "Bearer ";

static const char *find_header(void *owner, const char *name)
{
    return http_exchange_header(owner, name);
}

static char *copy_header(struct http_exchange *x, const char *name)
{
    const char *value = http_exchange_header(x, name);
    return value ? xstrdup(value) : NULL;
}

/* Without its parameters, in lower case. */
static char *copy_content_type(struct http_exchange *x)
{
    const char *value = http_exchange_header(x, "Content-Type");
    char *copy = xstrndup(value ? value : "", value ? strcspn(value, "; \t") : 0);
    for (char *c = copy; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    return copy;
}

static struct api_request *request_new(struct door *d, struct http_exchange *x)
{
    struct api_request *r = xcalloc(1, sizeof *r);
    struct api_internal *in = xcalloc(1, sizeof *in);
    const char *authorization = http_exchange_header(x, "Authorization");
    r->internal = in;
    r->context = d->context;
    r->body = x->body;
    r->body_length = x->body_length;
    in->door = d;
    in->exchange = x;
    in->began_us = clock_monotonic_us();
    in->status = 200;
    if (authorization && strncasecmp(authorization, BEARER, sizeof BEARER - 1) == 0)
        in->token = xstrdup(authorization + sizeof BEARER - 1);
    in->tenant_header = copy_header(x, "X-Tenant-Id");
    in->key_header = copy_header(x, "Idempotency-Key");
    in->content_type = copy_content_type(x);
    r->content_type = in->content_type;
    d->requests++;
    return r;
}

void request_free(struct api_request *r)
{
    struct api_internal *in = r->internal;
    struct door *d = in->door;
    if (r->release)
        r->release(r->state);
    target_done(&in->target);
    json_decref(in->input);
    json_decref(in->before);
    json_decref(in->after);
    json_decref(in->saving);
    json_decref(r->progress);
    for (int i = 0; i < in->headers; i++) {
        free(in->header_names[i]);
        free(in->header_values[i]);
    }
    buf_done(&in->answer);
    free(in->values);
    free(in->token);
    free(in->tenant_header);
    free(in->key_header);
    free(in->content_type);
    free(in->own_key);
    free(in->id);
    free(in->copies);
    free(in->object_id);
    free(in->noted_tenant);
    free(r->caller.tenant);
    free(in);
    free(r);
    d->requests--;
    if (d->requests == 0)
        d->context->on_idle(d->context->owner);
}

/* What the request is about. */

static bool find_route(struct api_request *r)
{
    struct api_internal *in = r->internal;
    const char *why;
    char allowed[ROUTE_METHODS_SIZE];
    if (target_parse(in->exchange->target, &in->target, &why)) {
        api_fail(r, 400, "bad_address", NULL, "the address has %s", why);
        return false;
    }
    r->route = route_find(r->context->routes, in->exchange->method, &in->target, allowed);
    if (r->route)
        return true;
    if (!*allowed) {
        api_fail(r, 404, "unknown_path", NULL,
                 "there is nothing at this path: see GET /api/openapi.json");
        return false;
    }
    api_header(r, "Allow", allowed);
    api_fail(r, 405, "wrong_method", NULL, "this path takes %s", allowed);
    return false;
}

static bool takes(const struct api_route *route, const char *content_type)
{
    for (const char *const *t = route->takes; *t; t++)
        if (strcmp(*t, content_type) == 0)
            return true;
    return false;
}

static bool has_body_params(const struct api_route *route)
{
    for (const struct api_param *p = route->params; p && p->place != API_END; p++)
        if (p->place == API_BODY)
            return true;
    return false;
}

static int load_body(struct api_request *r, struct params_fault *f)
{
    struct api_internal *in = r->internal;
    const struct api_route *route = r->route;
    int64_t most_kb = route->body_max_kb ? route->body_max_kb : BODY_MAX_KB;
    if (route->flags & API_IS_RAW)
        most_kb = r->context->config->body_max_kb;
    if (in->exchange->too_large || r->body_length > (size_t)most_kb << 10)
        return params_set_fault(f, 413, "body_too_large", NULL,
                                "the body is larger than %" PRId64 " KiB", most_kb);
    if (route->flags & API_IS_RAW) {
        if (!takes(route, r->content_type))
            return params_set_fault(f, 415, "wrong_content_type", "Content-Type",
                                    "this Content-Type is not taken here");
        return 0;
    }
    if (r->body_length == 0) {
        if (has_body_params(route))
            in->input = json_object();
        return 0;
    }
    if (!has_body_params(route))
        return params_set_fault(f, 400, "unexpected_body", NULL, "this request takes no body");
    if (strcmp(r->content_type, "application/json") != 0)
        return params_set_fault(f, 415, "wrong_content_type", "Content-Type",
                                "the body must be application/json");
    in->input = params_load_body(r->body, r->body_length, f);
    if (in->input && !json_is_object(in->input))
        return params_set_fault(f, 400, "bad_json", NULL, "the body must be a JSON object");
    return in->input ? 0 : -1;
}

static bool check_params(struct api_request *r)
{
    struct api_internal *in = r->internal;
    struct params_fault f;
    in->values = xcalloc((size_t)params_count(r->route) + 1, sizeof *in->values);
    if (load_body(r, &f) ||
        params_check(r->route, &in->target, in->input, find_header, in->exchange, in->values, &f)) {
        request_put_fault(r, &f);
        return false;
    }
    return true;
}

static bool is_tenant(const char *text)
{
    size_t length = strlen(text);
    return length >= 1 && length <= TENANT_MAX_BYTES && str_is_utf8(text, length) &&
           !str_has_control(text, length);
}

static bool check_tenant(struct api_request *r)
{
    struct api_internal *in = r->internal;
    const char *named = in->tenant_header;
    const char *bound = r->caller.tenant;
    if (named && !is_tenant(named)) {
        api_fail(r, 400, "bad_parameter", "X-Tenant-Id",
                 "X-Tenant-Id must be 1 to %d bytes of UTF-8 without control characters",
                 TENANT_MAX_BYTES);
    } else if (bound && named && strcmp(bound, named) != 0) {
        api_fail(r, 403, "wrong_tenant", "X-Tenant-Id", "the key is bound to another tenant");
    } else if (r->route->scope == API_OF_FLEET && bound) {
        api_fail(r, 403, "forbidden", NULL,
                 "the key is bound to a tenant, and this is about all of them");
    } else if (r->route->scope == API_OF_TENANT && !bound && !named) {
        api_fail(r, 400, "missing_parameter", "X-Tenant-Id",
                 "the key is bound to no tenant: name one in X-Tenant-Id");
    } else {
        if (r->route->scope == API_OF_TENANT)
            r->tenant = bound ? bound : named;
        return true;
    }
    return false;
}

static bool check_idempotency_key(struct api_request *r)
{
    struct api_internal *in = r->internal;
    size_t length = in->key_header ? strlen(in->key_header) : 0;
    char fresh[UUID_TEXT_SIZE];
    if (in->key_header &&
        (length < 1 || length > REQUEST_KEY_MAX || !str_is_utf8(in->key_header, length) ||
         str_has_control(in->key_header, length))) {
        api_fail(r, 400, "bad_parameter", "Idempotency-Key",
                 "Idempotency-Key must be 1 to %d bytes of UTF-8 without control characters",
                 REQUEST_KEY_MAX);
        return false;
    }
    if (!in->key_header) {
        uuid_v7(clock_unix_ms(), fresh);
        in->own_key = xasprintf("auto:%s", fresh);
    }
    r->idempotency_key = in->key_header ? in->key_header : in->own_key;
    r->id = r->idempotency_key;
    return true;
}

static void handle(struct api_request *r)
{
    r->route->handle(r);
}

static void on_caller(void *owner, const struct err *error, const struct api_caller *caller,
                      int64_t wait_ms)
{
    struct api_request *r = owner;
    char seconds[24];
    if (error && error->kind == ERR_INPUT) {
        api_header(r, "WWW-Authenticate", "Bearer");
        api_fail(r, 401, "unauthorized", NULL, "%s", error->text);
        return;
    }
    if (error) {
        api_fail_err(r, error);
        return;
    }
    r->caller = *caller;
    r->caller.tenant = caller->tenant ? xstrdup(caller->tenant) : NULL;
    if (wait_ms > 0) {
        snprintf(seconds, sizeof seconds, "%" PRId64, (wait_ms + 999) / 1000);
        api_header(r, "Retry-After", seconds);
        api_fail(r, 429, "too_many_requests", NULL,
                 "the key has made more than %" PRId64 " requests in a second",
                 r->context->config->rate_per_s);
        return;
    }
    if (caller->role < r->route->role) {
        static const char *const NAMES[] = {"none", "viewer", "editor", "admin"};
        api_fail(r, 403, "forbidden", NULL, "this needs a key of role %s", NAMES[r->route->role]);
        return;
    }
    if (!check_tenant(r) || !check_params(r))
        return;
    if (!request_is_change(r)) {
        handle(r);
        return;
    }
    if (check_idempotency_key(r))
        change_begin_request(r, handle);
}

static bool is_token(const char *text)
{
    size_t length = strlen(text);
    if (length < 20 || length > 100)
        return false;
    return strncmp(text, API_KEY_PREFIX, sizeof API_KEY_PREFIX - 1) == 0 ||
           strncmp(text, API_TOKEN_PREFIX, sizeof API_TOKEN_PREFIX - 1) == 0;
}

static void on_request(void *owner, struct http_exchange *x)
{
    struct door *d = owner;
    struct api_request *r = request_new(d, x);
    struct api_internal *in = r->internal;
    if (!find_route(r))
        return;
    if (r->route->role == API_PUBLIC) {
        if (check_params(r))
            r->route->handle(r);
        return;
    }
    if (!in->token || !is_token(in->token)) {
        api_header(r, "WWW-Authenticate", "Bearer");
        api_fail(r, 401, "unauthorized", "Authorization",
                 "a key is needed: Authorization: Bearer " API_KEY_PREFIX "…");
        return;
    }
    if (!d->context->schema_ready || d->context->is_closing) {
        struct err e;
        err_set(&e, ERR_CONNECT, "PostgreSQL is away, or its schema is older than this program");
        api_fail_err(r, &e);
        return;
    }
    key_cache_find(d->keys, in->token, on_caller, r);
}

struct door *door_open(const struct context *context, struct key_cache *keys, struct err *e)
{
    struct door *d = xcalloc(1, sizeof *d);
    d->context = context;
    d->keys = keys;
    d->outcomes[0] = metric_with(METRIC_OF_API_REQUESTS, "answered");
    d->outcomes[1] = metric_with(METRIC_OF_API_REQUESTS, "refused");
    d->outcomes[2] = metric_with(METRIC_OF_API_REQUESTS, "failed");
    d->seconds = metric_of(METRIC_OF_API_SECONDS, "");
    d->server = http_server_open(stage_loop(context->stage), "api", context->config->listen,
                                 (size_t)context->config->body_max_kb << 10, on_request, d, e);
    if (!d->server) {
        free(d);
        err_wrap(e, "API_LISTEN");
        return NULL;
    }
    return d;
}

void door_quiesce(struct door *d)
{
    http_server_quiesce(d->server);
}

bool door_is_idle(const struct door *d)
{
    return d->requests == 0;
}

bool door_is_ready(const struct door *d, struct buf *why)
{
    if (http_server_is_crowded(d->server))
        buf_add_str(why, "api: more connections than it keeps, the slowest were cut off\n");
    return true;
}

void door_close(struct door *d)
{
    http_server_close(d->server, free, d);
}
