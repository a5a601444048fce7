#include "emitter/daemon/door.h"

#include "common/clock.h"
#include "common/closing.h"
#include "emitter/daemon/problem.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct door {
    const struct context *context;
    struct door_parts parts;
    struct http_server *server;
    struct closing closing;
};

/* Routes. */

/* May it send events now, and in this form? If not, it is answered. */
static bool may_send(struct door *d, struct http_exchange *x, const struct caller *c)
{
    const char *encoding = http_exchange_header(x, "Content-Encoding");
    int64_t wait_s = access_wait_s(d->context->access, c, clock_monotonic_ms());
    bool is_plain = !encoding || !strcasecmp(encoding, "identity");
    if (!is_plain)
        answer_error(x, 415, "unsupported_encoding", "bodies are taken as they are, uncompressed");
    else if (wait_s > 0)
        answer_later(x, 429, "rate_limited",
                     "there were more events than EMITTER_RATE_PER_S allows: send these later",
                     wait_s);
    return is_plain && wait_s == 0;
}

static void take_events(struct door *d, struct http_exchange *x, const struct caller *c)
{
    if (may_send(d, x, c))
        intake_take(d->parts.intake, x, c);
}

static void take_openai(struct door *d, struct http_exchange *x, const struct caller *c)
{
    if (may_send(d, x, c))
        intake_take_feed(d->parts.intake, x, c, ai_feed_openai, false);
}

static void take_litellm(struct door *d, struct http_exchange *x, const struct caller *c)
{
    if (may_send(d, x, c))
        intake_take_feed(d->parts.intake, x, c, ai_feed_litellm, false);
}

static void take_otlp(struct door *d, struct http_exchange *x, const struct caller *c)
{
    if (may_send(d, x, c))
        intake_take_feed(d->parts.intake, x, c, ai_feed_otlp, true);
}

static void check_quota(struct door *d, struct http_exchange *x, const struct caller *c)
{
    quota_door_check(d->parts.quota, x, c);
}

static void reserve(struct door *d, struct http_exchange *x, const struct caller *c)
{
    quota_hold_reserve(d->parts.hold, x, c);
}

static void settle(struct door *d, struct http_exchange *x, const struct caller *c)
{
    quota_hold_settle(d->parts.hold, x, c);
}

static const struct route {
    const char *path;
    const char *method; /* HEAD is a GET whose body is not sent; NULL: any, and any path below */
    void (*handle)(struct door *d, struct http_exchange *x, const struct caller *c);
} ROUTES[] = {
    {"/v1/quota/check", "GET", check_quota},
    {"/v1/quota/check/", NULL, check_quota},
    {"/v1/events", "POST", take_events},
    {"/v1/usage/openai", "POST", take_openai},
    {"/v1/usage/litellm", "POST", take_litellm},
    {"/v1/traces", "POST", take_otlp},
    {"/v1/logs", "POST", take_otlp},
    {"/v1/quota/reserve", "POST", reserve},
    {"/v1/quota/settle", "POST", settle},
};

static const struct route *find_route(const char *path)
{
    for (size_t i = 0; i < sizeof ROUTES / sizeof *ROUTES; i++)
        if (ROUTES[i].method ? !strcmp(ROUTES[i].path, path)
                             : !strncmp(ROUTES[i].path, path, strlen(ROUTES[i].path)))
            return &ROUTES[i];
    return NULL;
}

static bool is_method(const struct route *r, const char *method)
{
    return !r->method || !strcmp(method, r->method) ||
           (!strcmp(r->method, "GET") && !strcmp(method, "HEAD"));
}

/* Whose key it is, and whom it says that it acts for. */
static bool find_caller(struct door *d, struct http_exchange *x, struct caller *c)
{
    bool is_open = access_is_open(d->context->access);
    if (!access_find(d->context->access, is_open ? NULL : http_exchange_header(x, "Authorization"),
                     is_open ? NULL : http_exchange_header(x, "X-Api-Key"), c)) {
        http_reply_header(x, "WWW-Authenticate", "Bearer");
        answer_error(x, 401, "unauthorized",
                     "a key is needed, as Authorization: Bearer <key>, or X-Api-Key");
        return false;
    }
    const char *tenant = http_exchange_header(x, "X-Tenant");
    struct slice named = {tenant ? tenant : "", tenant ? strlen(tenant) : 0};
    c->is_bound = c->tenant.length > 0;
    if (c->is_bound && named.length > 0 && !slice_equals(c->tenant, named)) {
        answer_error(x, 403, "wrong_tenant", "X-Tenant is another tenant than the key's");
        return false;
    }
    if (!c->is_bound)
        c->tenant = named;
    return true;
}

static void on_request(void *owner, struct http_exchange *x)
{
    struct door *d = owner;
    struct caller caller;
    const struct route *route = find_route(x->path);
    if (!route) {
        answer_error(x, 404, "not_found", "there is nothing at this path");
    } else if (!is_method(route, x->method)) {
        http_reply_header(x, "Allow", route->method);
        answer_error(x, 405, "wrong_method", "this path takes another method");
    } else if (stage_is_draining(d->context->stage)) {
        answer_later(x, 503, "stopping", "the emitter is being stopped: send it again", 1);
    } else if (find_caller(d, x, &caller)) {
        if (x->too_large)
            answer_error(x, 413, "too_large", "the body is larger than EMITTER_BODY_MAX_KB");
        else
            route->handle(d, x, &caller);
    }
}

struct door *door_open(const struct context *context, struct door_parts parts, struct err *e)
{
    const struct daemon_config *config = context->config;
    struct door *d = xcalloc(1, sizeof *d);
    *d = (struct door){.context = context, .parts = parts};
    d->server = http_server_open(stage_loop(context->stage), "events", config->listen,
                                 (size_t)config->body_max_kb << 10, on_request, d, e);
    if (d->server) {
        http_server_set_connections(d->server, (int)config->connections);
        return d;
    }
    free(d);
    err_wrap(e, "EMITTER_LISTEN");
    return NULL;
}

void door_quiesce(struct door *d)
{
    http_server_quiesce(d->server);
}

bool door_is_idle(const struct door *d)
{
    return http_server_in_flight(d->server) == 0;
}

bool door_is_crowded(const struct door *d)
{
    return http_server_is_crowded(d->server);
}

void door_close(struct door *d)
{
    closing_begin(&d->closing, d, free, NULL, NULL);
    http_server_close(d->server, closing_part_closed, closing_part(&d->closing));
    closing_end(&d->closing);
}
