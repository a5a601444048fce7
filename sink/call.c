/* The happy path: http_send, an answer, settle_rule_judge. All failure modes are outcomes of the
 * rule. */
#include "sink/call.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/contract.h"
#include "common/http_client.h"
#include "common/stage.h"
#include "sink/report.h"

#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_TIMEOUT_MS = 5000,
    MAX_BODY_BYTES = 65536,
    RETRY_FIRST_MS = 500,
    RETRY_MAX_MS = 60000
};

struct caller {
    struct http_client *client;
    const struct config *config;
    char *authorization; /* "Bearer sk_…" */
    call_done_fn done;
    void *owner;
    void (*closed)(void *owner);
    void *closed_owner;
};

struct caller *caller_open(uv_loop_t *loop, const struct config *config, call_done_fn done,
                           void *owner)
{
    struct caller *c = xcalloc(1, sizeof *c);
    c->client = http_client_open(loop, "meterline/" METERLINE_VERSION, (int)config->max_in_flight,
                                 MAX_BODY_BYTES);
    c->config = config;
    c->authorization = xasprintf("Bearer %s", config->stripe_secret_key);
    c->done = done;
    c->owner = owner;
    return c;
}

/* The number of tries is in the database, so that the waits go on growing over a restart. Where
 * Stripe is away, or refuses our key, the gate waits for all of them together. */
static int64_t wait_of(const struct submission *s)
{
    const struct settle_outcome *o = &s->outcome;
    if (o->state != SETTLE_RETRY || o->peer == SETTLE_PEER_AWAY || o->peer == SETTLE_PEER_REFUSES)
        return 0;
    struct backoff b = BACKOFF(RETRY_FIRST_MS, RETRY_MAX_MS);
    b.failures = s->attempt > 32 ? 32 : (unsigned)(s->attempt - 1);
    int64_t wait_ms = (int64_t)backoff_next_ms(&b, backoff_random());
    return wait_ms > o->retry_after_ms ? wait_ms : o->retry_after_ms;
}

/* Kept for Stripe's support: only if it looks like one. */
static void keep_request_id(struct submission *s, const char *id)
{
    size_t length = id ? strlen(id) : 0;
    if (length == 0 || length >= sizeof s->request_id || str_has_control(id, length) ||
        !str_is_utf8(id, length))
        return;
    memcpy(s->request_id, id, length + 1);
}

static void read_answer(struct settle_try *t, const struct http_answer *a)
{
    t->status = a->status;
    t->body = a->body;
    t->body_length = a->body_length;
    t->should_retry = http_answer_header(a, "Stripe-Should-Retry");
    t->retry_after = http_answer_header(a, "Retry-After");
    t->limited_reason = http_answer_header(a, "Stripe-Rate-Limited-Reason");
}

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer)
{
    struct submission *s = owner;
    struct caller *c = s->owner;
    struct settle_try t = {.transport = s->transport,
                           .identifier = s->identifier,
                           .sent_before = s->sent_before,
                           .error = error};
    if (answer) {
        stage_crash_point("after_apply");
        read_answer(&t, answer);
        keep_request_id(s, http_answer_header(answer, "Request-Id"));
        report_answer(answer->elapsed_ms, answer->server_date_ms);
    }
    settle_rule_judge(&t, &s->outcome);
    s->wait_ms = wait_of(s);
    c->done(c->owner, s);
}

void caller_send(struct caller *c, struct submission *s)
{
    const struct config *config = c->config;
    struct http_header headers[TRANSPORT_HEADERS];
    transport_headers(s->transport, c->authorization, config->stripe_api_version, s->identifier,
                      headers);
    size_t base = strlen(config->stripe_api_base);
    bool slash = base > 0 && config->stripe_api_base[base - 1] == '/';
    char *url = xasprintf("%.*s%s", (int)(slash ? base - 1 : base), config->stripe_api_base,
                          s->transport->path);
    const struct http_call call = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .body = s->body,
        .body_length = strlen(s->body),
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .timeout_ms = (uint64_t)config->timeout_ms,
    };
    s->owner = c;
    http_send(c->client, &call, on_answer, s);
    free(url);
}

void caller_hand_back(struct submission *s)
{
    s->wait_ms = 0;
    s->outcome = (struct settle_outcome){
        .state = SETTLE_RETRY, .peer = SETTLE_PEER_UNSURE, .label = "not_sent", .unsent = true};
    err_set(&s->outcome.error, ERR_CANCELED, "not sent: picked too long ago, or while stopping");
}

static void on_closed(void *owner)
{
    struct caller *c = owner;
    void (*closed)(void *) = c->closed;
    void *closed_owner = c->closed_owner;
    free(c->authorization);
    free(c);
    closed(closed_owner);
}

void caller_close(struct caller *c, void (*closed)(void *owner), void *owner)
{
    c->closed = closed;
    c->closed_owner = owner;
    http_client_close(c->client, on_closed, c);
}
