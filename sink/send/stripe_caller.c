/* The happy path: the bodies become one request, and settle_rule judges the answer for each of
 * them.
 *
 * A call of the stream needs a token first, and waits for a session if there is none. If Stripe
 * refuses the token, the request was not taken, and is made once more with a fresh one. Only if
 * that is refused too does the call end so. All failure modes are outcomes of settle_rule. */
#include "sink/send/stripe_caller.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/closing.h"
#include "common/contract.h"
#include "common/http/http_client.h"
#include "common/stage.h"
#include "common/stripe/identifier.h"
#include "sink/report.h"
#include "sink/transport/stream_token.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_MS = 5000,
    MAX_BODY_BYTES = 65536,
    RETRY_FIRST_MS = 500,
    RETRY_MAX_MS = 60000,
    SPARE_CONNECTIONS = 2, /* for a session, and for a mix of transports (see submission_store.h) */
    UNAUTHORIZED = 401
};

struct stripe_caller {
    struct http_client *client;
    struct stream_token *token;
    const struct config *config;
    struct call *waiting; /* for a session */
    struct closing closing;
};

struct call {
    struct stripe_caller *caller;
    struct submission_queue batch;
    const struct transport *transport;
    struct call_terms terms;
    char *token;       /* the header that it was sent with, of the stream alone */
    bool renewed;      /* its token was refused once */
    bool repeated;     /* Stripe may have read a request before the one that it answered */
    struct call *next; /* in the list of those that wait */
};

static void on_token(void *owner, const struct settle_outcome *failure);

struct stripe_caller *stripe_caller_open(uv_loop_t *loop, const struct config *config)
{
    struct stripe_caller *c = xcalloc(1, sizeof *c);
    c->client = http_client_open(loop, "meterline/" METERLINE_VERSION,
                                 (int)config->max_in_flight + SPARE_CONNECTIONS, MAX_BODY_BYTES);
    c->config = config;
    c->token = stream_token_new(c->client, config, on_token, c);
    return c;
}

/* The number of tries is in the database, so that the waits go on growing over a restart. Where
 * Stripe is away, or refuses our key, the circuit breaker waits for all of them together. */
static int64_t wait_of(const struct submission *s, uint32_t random)
{
    const struct settle_outcome *o = &s->outcome;
    if (o->state != SETTLE_RETRY || o->peer == SETTLE_PEER_AWAY || o->peer == SETTLE_PEER_REFUSES)
        return 0;
    if (o->key_spent) /* a stored answer would be given again: only another key can help */
        return 0;
    struct backoff b = BACKOFF(RETRY_FIRST_MS, RETRY_MAX_MS);
    b.failures = s->attempt > 32 ? 32 : (unsigned)(s->attempt - 1);
    int64_t wait_ms = (int64_t)backoff_next_ms(&b, random);
    return wait_ms > o->retry_after_ms ? wait_ms : o->retry_after_ms;
}

/* Kept for Stripe's support, if it looks like an id. */
static void keep_request_id(struct submission *s, const char *id)
{
    size_t length = id ? strlen(id) : 0;
    if (length == 0 || length >= sizeof s->request_id || str_has_control(id, length) ||
        !str_is_utf8(id, length))
        return;
    memcpy(s->request_id, id, length + 1);
}

static void end_call(struct call *call)
{
    /* The answered request changed nothing, but an earlier one may have. */
    for (struct submission *s = call->batch.first; s; s = s->next)
        s->outcome.unsent &= !call->repeated;
    struct submission_queue batch = call->batch;
    assert(batch.first);
    const struct settle_outcome outcome = batch.first->outcome;
    struct call_terms terms = call->terms;
    free(call->token);
    free(call);
    terms.done(terms.owner, &batch, &outcome);
}

/* Those of one call wait alike, so that they go out together again. */
static void judge_all(struct call *call, const struct settle_try *call_try)
{
    uint32_t random = backoff_random();
    for (struct submission *s = call->batch.first; s; s = s->next) {
        const struct usage usage = {.identifier = s->identifier,
                                    .subscription_item = s->subscription_item,
                                    .quantity = s->quantity};
        struct settle_try t = *call_try;
        t.usage = &usage;
        t.sent_before = s->sent_before;
        settle_rule_judge(&t, &s->outcome);
        s->wait_ms = wait_of(s, random);
    }
}

static void end_all(struct call *call, const struct settle_outcome *outcome)
{
    uint32_t random = backoff_random();
    for (struct submission *s = call->batch.first; s; s = s->next) {
        s->outcome = *outcome;
        s->wait_ms = wait_of(s, random);
    }
    end_call(call);
}

static void give_back_untried(struct call *call)
{
    for (struct submission *s = call->batch.first; s; s = s->next)
        submission_set_untried(s);
    end_call(call);
}

static void wait_for_token(struct call *call)
{
    struct stripe_caller *c = call->caller;
    call->next = c->waiting;
    c->waiting = call;
    stream_token_open(c->token);
}

/* Returns true if the call goes out once more with another token. */
static bool renew_token(struct call *call, const struct http_answer *answer)
{
    if (!call->token || !answer || answer->status != UNAUTHORIZED)
        return false;
    stream_token_forget(call->caller->token, call->token);
    if (call->renewed || closing_has_begun(&call->caller->closing))
        return false;
    call->renewed = true;
    report_call("token_refused");
    wait_for_token(call);
    return true;
}

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer)
{
    struct call *call = owner;
    call->repeated |= answer && answer->repeated;
    struct settle_try t = {
        .transport = call->transport, .error = error, .repeated = call->repeated};
    if (renew_token(call, answer))
        return;
    if (answer) {
        stage_crash_point("after_apply");
        settle_try_read(&t, answer);
        for (struct submission *s = call->batch.first; s; s = s->next)
            keep_request_id(s, http_answer_header(answer, "Request-Id"));
        report_answer(call->transport->name, answer->elapsed_ms, answer->server_date_ms);
    }
    judge_all(call, &t);
    end_call(call);
}

/* What one call puts on the wire: one body as it is, or the bodies of a batch in a list. */

static void make_body(const struct submission *first, struct buf *body)
{
    const struct transport *transport = first->transport;
    if (!transport->opens) {
        buf_add_str(body, first->body);
        return;
    }
    buf_add_str(body, transport->opens);
    for (const struct submission *s = first; s; s = s->next) {
        buf_add_str(body, s == first ? "" : ",");
        buf_add_str(body, s->body);
    }
    buf_add_str(body, transport->closes);
}

/* Of a batch: the number of spent keys is the greatest of its members'. */
static void make_key(const struct submission *first, const struct buf *body, struct buf *key)
{
    char batch[TRANSPORT_KEY_SIZE];
    int64_t spent = 0;
    if (first->transport->opens)
        transport_batch_key(body->data, body->length, batch);
    for (const struct submission *s = first; s; s = s->next)
        spent = s->spent_keys > spent ? s->spent_keys : spent;
    identifier_key(first->transport->opens ? batch : first->identifier, spent, key);
}

static void send_request(struct call *call, const char *authorization)
{
    const struct config *config = call->caller->config;
    const struct submission *first = call->batch.first;
    struct http_header headers[TRANSPORT_HEADERS];
    struct buf body = {0};
    struct buf key = {0};
    const char *base =
        first->transport->by_token ? config_meter_events_base(config) : config->stripe_api_base;
    char *url = config_url(base, first->path);
    make_body(first, &body);
    make_key(first, &body, &key);
    transport_headers(first->transport, authorization, config->stripe_api_version, key.data,
                      headers);
    const struct http_call http = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .body = body.data,
        .body_length = body.length,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = (uint64_t)config->timeout_ms,
    };
    http_send(call->caller->client, &http, on_answer, call);
    free(url);
    buf_done(&body);
    buf_done(&key);
}

static void send_with_token(struct call *call, const char *header)
{
    free(call->token);
    call->token = xstrdup(header);
    send_request(call, header);
}

static void on_token(void *owner, const struct settle_outcome *failure)
{
    struct stripe_caller *c = owner;
    struct call *call = c->waiting;
    /* Those that ask again inside done wait for the next session. */
    c->waiting = NULL;
    while (call) {
        struct call *next = call->next;
        const char *header = stream_token_header(c->token);
        if (failure)
            end_all(call, failure);
        else if (!header || closing_has_begun(&c->closing) ||
                 clock_monotonic_ms() > call->terms.begin_until_ms)
            give_back_untried(call);
        else
            send_with_token(call, header);
        call = next;
    }
}

void stripe_caller_send(struct stripe_caller *c, struct submission_queue *batch,
                        const struct call_terms *terms)
{
    struct call *call = xcalloc(1, sizeof *call);
    *call = (struct call){
        .caller = c, .batch = *batch, .transport = batch->first->transport, .terms = *terms};
    *batch = (struct submission_queue){0};
    if (!call->transport->by_token) {
        /* Made anew each time, as the key may be rolled. */
        char *authorization = xasprintf("Bearer %s", c->config->stripe_secret_key);
        send_request(call, authorization);
        free(authorization);
        return;
    }
    const char *header = stream_token_header(c->token);
    if (header)
        send_with_token(call, header);
    else
        wait_for_token(call);
}

bool stripe_caller_accepts(struct submission *s)
{
    struct buf path = {0};
    struct err e;
    if (transport_path(s->transport, s->subscription_item, &path, &e) == 0) {
        free(s->path);
        s->path = path.data;
        return true;
    }
    s->outcome = (struct settle_outcome){.state = SETTLE_FAILED,
                                         .peer = SETTLE_PEER_UNSURE,
                                         .label = "not_sent",
                                         .unsent = true,
                                         .error = e};
    return false;
}

static void release(void *self)
{
    struct stripe_caller *c = self;
    stream_token_free(c->token);
    free(c);
}

void stripe_caller_close(struct stripe_caller *c, void (*closed)(void *owner), void *owner)
{
    closing_begin(&c->closing, c, release, closed, owner);
    http_client_close(c->client, closing_part_closed, closing_part(&c->closing));
    closing_end(&c->closing);
}
