#include "common/stripe/stripe_calls.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/closing.h"
#include "common/contract.h"
#include "common/http/http_client.h"
#include "common/json_exact.h"
#include "common/log.h"
#include "common/metric_table.h"
#include "common/stripe/circuit_breaker.h"
#include "common/stripe/stripe_answer.h"
#include "common/stripe/stripe_limits.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    CONNECT_TIMEOUT_MS = 5000,
    TIMEOUT_MS = 30000,
    PATIENCE_MS = 20000,
    BODY_MAX_BYTES = 4 << 20,
    RETRY_FIRST_MS = 250,
    RETRY_MAX_MS = 4000,
    UNAUTHORIZED = 401
};

struct stripe_calls {
    uv_loop_t *loop;
    const struct stripe_access *access;
    struct http_client *client;
    struct stripe_limits limits;
    struct circuit_breaker breaker;
    bool key_refused; /* why the breaker is open */
    struct err loss;
    struct log_causes losses;
    struct call *first; /* all that are under way */
    int in_flight;
    int kept; /* calls that are not freed yet */
    struct closing closing;
};

struct call {
    struct stripe_calls *calls;
    char *method;
    char *url;
    char *form; /* NULL: none is sent */
    char *key;  /* NULL: none */
    char *version;
    uv_timer_t timer;
    struct backoff backoff;
    int64_t until_ms; /* monotonic: its patience ends */
    bool is_out;      /* waits for an answer */
    bool is_probe;
    bool may_be_done; /* a try of it may have reached Stripe, and was not answered */
    stripe_reply_fn done;
    void *owner;
    struct call *next;
    struct call *previous;
};

/* Ends. */

static void call_free(uv_handle_t *handle)
{
    struct call *call = handle->data;
    struct stripe_calls *c = call->calls;
    free(call->method);
    free(call->url);
    free(call->form);
    free(call->key);
    free(call->version);
    free(call);
    c->kept--;
    if (closing_has_begun(&c->closing))
        closing_part_closed(&c->closing);
}

static void end_call(struct call *call, const struct stripe_reply *reply)
{
    struct stripe_calls *c = call->calls;
    if (call->previous)
        call->previous->next = call->next;
    else
        c->first = call->next;
    if (call->next)
        call->next->previous = call->previous;
    c->in_flight--;
    if (call->is_probe)
        breaker_forget(&c->breaker, clock_monotonic_ms());
    call->done(call->owner, reply);
    uv_close((uv_handle_t *)&call->timer, call_free);
}

static void end_failed(struct call *call, const struct err *error, struct stripe_reply reply)
{
    int64_t now_ms = clock_monotonic_ms();
    reply.error = error;
    reply.outcome = call->may_be_done ? STRIPE_UNKNOWN : STRIPE_AWAY;
    if (reply.retry_after_ms == 0) {
        int64_t rate_ms = stripe_limits_wait_ms(&call->calls->limits, now_ms);
        reply.retry_after_ms = breaker_wait_ms(&call->calls->breaker, now_ms);
        if (rate_ms > reply.retry_after_ms)
            reply.retry_after_ms = rate_ms;
    }
    end_call(call, &reply);
}

/* What is told of Stripe as a peer. */

static void report_lost(struct stripe_calls *c, const struct err *error)
{
    uint64_t held;
    char cause[32]; /* without the id of the request */
    (void)snprintf(cause, sizeof cause, "%s %d", err_kind_name(error->kind), error->code);
    c->loss = *error;
    if (!log_cause_failed(&c->losses, cause, clock_monotonic_ms(), &held))
        return;
    bool refused = error->code == UNAUTHORIZED;
    log_event(refused ? LOG_ERROR : LOG_WARN, refused ? LOG_OF_account_refused : LOG_OF_peer_lost,
              LOG_STR("peer", "stripe"), LOG_U64("held_back", held), LOG_ERR(error));
}

static void trip(struct call *call, bool key_refused, const struct err *error)
{
    struct stripe_calls *c = call->calls;
    report_lost(c, error);
    if (breaker_trip(&c->breaker, clock_monotonic_ms(), backoff_random()) == 0)
        return;
    c->key_refused = key_refused;
    call->is_probe = false;
    metric_set(metric_with(METRIC_OF_PEER_UP, "stripe"), 0);
}

static void report_answered(struct call *call)
{
    struct stripe_calls *c = call->calls;
    call->is_probe = false;
    c->loss = (struct err){0};
    if (breaker_reset(&c->breaker))
        metric_set(metric_with(METRIC_OF_PEER_UP, "stripe"), 1);
    if (log_cause_recovered(&c->losses))
        log_info(peer_back, LOG_STR("peer", "stripe"));
}

/* Tries. */

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer);

static void send_call(struct call *call)
{
    struct stripe_calls *c = call->calls;
    struct http_header headers[5];
    int n = 0;
    char *authorization = xasprintf("Bearer %s", *c->access->key);
    headers[n++] = (struct http_header){"Authorization", authorization};
    headers[n++] = (struct http_header){"Stripe-Version", call->version};
    if (call->key)
        headers[n++] = (struct http_header){"Idempotency-Key", call->key};
    if (call->form)
        headers[n++] = (struct http_header){"Content-Type", "application/x-www-form-urlencoded"};
    headers[n] = (struct http_header){NULL, NULL};
    const struct http_call http = {.method = call->method,
                                   .url = call->url,
                                   .headers = headers,
                                   .body = call->form,
                                   .body_length = call->form ? strlen(call->form) : 0,
                                   .connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                   .timeout_ms = TIMEOUT_MS};
    if (c->breaker.state == BREAKER_OPEN) {
        breaker_probe(&c->breaker);
        call->is_probe = true;
    }
    call->is_out = true;
    http_send(c->client, &http, on_answer, call);
    free(authorization);
}

static void on_timer(uv_timer_t *timer)
{
    struct call *call = timer->data;
    struct stripe_calls *c = call->calls;
    struct err e;
    if (closing_has_begun(&c->closing)) {
        err_set(&e, ERR_CANCELED, "closed before Stripe was asked");
        end_failed(call, &e, (struct stripe_reply){0});
    } else if (breaker_allowed(&c->breaker, clock_monotonic_ms()) > 0) {
        send_call(call);
    } else {
        e = c->loss;
        end_failed(call, &e, (struct stripe_reply){0});
    }
}

/* The call is counted at once, so that those who wait come one after the other. */
static void try_after(struct call *call, int64_t wait_ms)
{
    struct stripe_calls *c = call->calls;
    int64_t rate_ms = stripe_limits_wait_ms(&c->limits, clock_monotonic_ms());
    stripe_limits_take(&c->limits, 1);
    uv_update_time(call->timer.loop);
    uv_timer_start(&call->timer, on_timer, (uint64_t)(rate_ms > wait_ms ? rate_ms : wait_ms), 0);
}

/* Returns true if it goes out once more. */
static bool try_again(struct call *call, int64_t at_least_ms)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t breaker_ms = breaker_wait_ms(&call->calls->breaker, now_ms);
    int64_t wait_ms = (int64_t)backoff_next_ms(&call->backoff, backoff_random());
    if (breaker_ms > wait_ms)
        wait_ms = breaker_ms;
    if (at_least_ms > wait_ms)
        wait_ms = at_least_ms;
    if (closing_has_begun(&call->calls->closing) || now_ms + wait_ms > call->until_ms)
        return false;
    try_after(call, wait_ms);
    return true;
}

/* Answers. */

static void read_error(const json_t *body, struct stripe_reply *reply)
{
    const json_t *error = json_object_get(body, "error");
    reply->type = stripe_answer_text(error, "type");
    reply->code = stripe_answer_text(error, "code");
    reply->decline_code = stripe_answer_text(error, "decline_code");
    reply->param = stripe_answer_text(error, "param");
    reply->message = stripe_answer_text(error, "message");
}

/* e: stripe_answer_error of it. */
static void take_failure(struct call *call, const struct http_answer *answer,
                         struct stripe_reply *reply, const struct err *e)
{
    struct stripe_calls *c = call->calls;
    const char *replayed = http_answer_header(answer, "Idempotent-Replayed");
    (void)stripe_answer_is_limited(answer, &c->limits, e);
    reply->error = e;
    reply->spent = answer->status >= 500 && replayed && !strcasecmp(replayed, "true");
    reply->retry_after_ms = stripe_retry_after_ms(http_answer_header(answer, "Retry-After"));
    if (answer->status == UNAUTHORIZED) {
        trip(call, true, e);
        end_failed(call, e, *reply);
        return;
    }
    report_answered(call);
    bool transient = stripe_answer_is_transient(answer->status);
    if (answer->status >= 500 || answer->status == 200)
        call->may_be_done = true;
    if (!reply->spent && stripe_answer_may_repeat(answer) && try_again(call, reply->retry_after_ms))
        return;
    if (answer->status == 409) /* another call with this key is under way, or has the object */
        call->may_be_done = true;
    if (transient) {
        end_failed(call, e, *reply);
        return;
    }
    reply->outcome = STRIPE_REFUSED;
    end_call(call, reply);
}

static void take_answer(struct call *call, const struct http_answer *answer)
{
    json_t *body = json_exact_load(answer->body, answer->body_length);
    bool is_object = answer->status == 200 && json_is_object(body);
    struct stripe_reply reply = {.status = answer->status,
                                 .request_id = http_answer_header(answer, "Request-Id")};
    metric_observe(metric_with(METRIC_OF_STRIPE_SECONDS, "call"), answer->elapsed_ms);
    metric_count(METRIC_OF_STRIPE_REQUESTS, stripe_answer_outcome(answer->status, is_object));
    if (is_object) {
        report_answered(call);
        reply.object = body;
        end_call(call, &reply);
    } else {
        struct err e;
        stripe_answer_error(answer, &e);
        read_error(body, &reply);
        take_failure(call, answer, &reply, &e);
    }
    json_decref(body);
}

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer)
{
    struct call *call = owner;
    call->is_out = false;
    if (answer) {
        take_answer(call, answer);
        return;
    }
    bool unsent = error->kind == ERR_CONNECT || error->kind == ERR_TLS || error->kind == ERR_INPUT;
    metric_count(METRIC_OF_STRIPE_REQUESTS, "failed");
    call->may_be_done |= !unsent;
    if (error->kind != ERR_CANCELED && (unsent || call->is_probe))
        trip(call, false, error);
    else if (error->kind != ERR_CANCELED)
        report_lost(call->calls, error);
    if (error->kind == ERR_CANCELED || !try_again(call, 0))
        end_failed(call, error, (struct stripe_reply){0});
}

/* Opening, asking, closing. */

static char *make_url(const struct stripe_calls *c, const struct stripe_request *request)
{
    struct buf url = {0};
    size_t base = strlen(c->access->base);
    while (base > 0 && c->access->base[base - 1] == '/')
        base--;
    buf_add(&url, c->access->base, base);
    buf_add_str(&url, request->path);
    if (strcmp(request->method, "POST") != 0 && request->form && *request->form)
        buf_printf(&url, "?%s", request->form);
    return buf_take(&url);
}

void stripe_calls_send(struct stripe_calls *c, const struct stripe_request *request,
                       stripe_reply_fn done, void *owner)
{
    assert(!closing_has_begun(&c->closing));
    bool posts = strcmp(request->method, "POST") == 0;
    struct call *call = xcalloc(1, sizeof *call);
    call->calls = c;
    call->method = xstrdup(request->method);
    call->url = make_url(c, request);
    call->form = posts ? xstrdup(request->form ? request->form : "") : NULL;
    call->key = request->idempotency_key ? xstrdup(request->idempotency_key) : NULL;
    call->version = xstrdup(request->version ? request->version : c->access->version);
    call->backoff = BACKOFF(RETRY_FIRST_MS, RETRY_MAX_MS);
    call->until_ms =
        clock_monotonic_ms() + (int64_t)(request->patience_ms ? request->patience_ms : PATIENCE_MS);
    call->done = done;
    call->owner = owner;
    uv_timer_init(c->loop, &call->timer);
    call->timer.data = call;
    call->next = c->first;
    if (c->first)
        c->first->previous = call;
    c->first = call;
    c->in_flight++;
    c->kept++;
    try_after(call, 0);
}

struct stripe_calls *stripe_calls_open(uv_loop_t *loop, const struct stripe_access *access,
                                       int connections)
{
    struct stripe_calls *c = xcalloc(1, sizeof *c);
    c->loop = loop;
    c->access = access;
    c->client = http_client_open(loop, "meterline/" METERLINE_VERSION, connections, BODY_MAX_BYTES);
    breaker_init(&c->breaker);
    stripe_limits_init(&c->limits, access->rate_per_s, clock_monotonic_ms());
    metric_with(METRIC_OF_STRIPE_REQUESTS, "account_refused"); /* only what stood at 0 rises */
    metric_set(metric_with(METRIC_OF_PEER_UP, "stripe"), 1);   /* until a call tells otherwise */
    return c;
}

void stripe_calls_add_why(const struct stripe_calls *c, struct buf *why)
{
    if (c->breaker.state == BREAKER_CLOSED)
        return;
    if (c->key_refused)
        buf_add_str(why, "stripe: refuses our key (401): what needs Stripe is answered 503\n");
    else
        buf_add_str(why, "stripe: cannot be reached: what needs it is answered 503\n");
}

int stripe_calls_in_flight(const struct stripe_calls *c)
{
    return c->in_flight;
}

void stripe_calls_close(struct stripe_calls *c, void (*closed)(void *owner), void *owner)
{
    closing_begin(&c->closing, c, free, closed, owner);
    for (int i = 0; i < c->kept; i++) /* the timer of each call closes by itself */
        closing_part(&c->closing);
    for (struct call *call = c->first; call; call = call->next)
        if (!call->is_out)
            uv_timer_start(&call->timer, on_timer, 0, 0);
    http_client_close(c->client, closing_part_closed, closing_part(&c->closing));
    closing_end(&c->closing);
}
