#include "notifier/post/poster.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/contract.h"
#include "common/http/address_rule.h"
#include "common/http/http_client.h"
#include "notifier/outbox/outbox.h"
#include "notifier/post/post_signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { EACH_IN_FLIGHT = 2, CONNECT_MS = 5000, LEASE_MORE_MS = 20000, WHY_SIZE = 240 };

struct poster {
    const struct context *context;
    struct http_client *http;
    struct outbox *outbox;
    struct closing closing;
};

/* The message that a call is about. */
struct posting {
    struct poster *poster;
    struct message *message;
};

static void on_answer(void *owner, const struct err *error, const struct http_answer *answer)
{
    struct posting p = *(struct posting *)owner;
    struct outbox *outbox = p.poster->outbox;
    char why[WHY_SIZE];
    free(owner);
    if (error) {
        /* ERR_INPUT: the URL itself is the fault. */
        (void)snprintf(why, sizeof why, "%s", error->text);
        outbox_ended(outbox, p.message,
                     error->kind == ERR_INPUT ? MESSAGE_REFUSED : MESSAGE_ADDRESS_DOWN, why);
    } else if (answer->status >= 200 && answer->status < 300) {
        outbox_ended(outbox, p.message, MESSAGE_SENT, NULL);
    } else {
        (void)snprintf(why, sizeof why, "the receiver answered %d", answer->status);
        outbox_ended(outbox, p.message,
                     answer->status == 410 ? MESSAGE_REFUSED : MESSAGE_ADDRESS_DOWN, why);
    }
}

static bool may_deliver(void *owner)
{
    (void)owner;
    return true;
}

static void post(struct poster *p, struct message *m)
{
    const struct config *c = p->context->config;
    struct posting *posting = xmalloc(sizeof *posting);
    char signature[POST_SIGNATURE_SIZE];
    char *body = message_json(m);
    *posting = (struct posting){p, m};
    post_signature(m->secret, clock_unix_ms() / 1000, body, strlen(body), signature);
    const struct http_header headers[] = {{"Content-Type", "application/json"},
                                          {"Meterline-Message-Id", m->id},
                                          {"Meterline-Signature", signature},
                                          {NULL, NULL}};
    const struct http_call call = {.method = "POST",
                                   .url = m->destination,
                                   .headers = headers,
                                   .body = body,
                                   .body_length = strlen(body),
                                   .connect_timeout_ms = CONNECT_MS,
                                   .timeout_ms = (uint64_t)c->post_timeout_s * 1000,
                                   .only_https = !c->allow_private,
                                   .allows = c->allow_private ? NULL : address_is_public};
    http_send(p->http, &call, on_answer, posting);
    free(body);
}

static void deliver(void *owner, struct message *m)
{
    struct poster *p = owner;
    if (!m->secret)
        outbox_ended(p->outbox, m, MESSAGE_REFUSED, "the tenant has no such URL any more");
    else if (!p->context->config->allow_private && strncasecmp(m->destination, "https://", 8) != 0)
        outbox_ended(p->outbox, m, MESSAGE_REFUSED, "the URL does not begin with https://");
    else
        post(p, m);
}

struct poster *poster_open(const struct context *context)
{
    const struct config *c = context->config;
    struct poster *p = xcalloc(1, sizeof *p);
    p->context = context;
    p->http = http_client_open(stage_loop(context->stage), "meterline-notifier/" METERLINE_VERSION,
                               (int)c->posts_in_flight, 0);
    const struct outbox_terms terms = {
        .channel = "post",
        .most = (int)c->posts_in_flight,
        .each = EACH_IN_FLIGHT,
        .lease_ms = c->post_timeout_s * 1000 + LEASE_MORE_MS,
        .retry = {c->retry_first_ms, c->retry_max_s * 1000, c->give_up_s * 1000},
        .ready = may_deliver,
        .deliver = deliver,
        .owner = p};
    p->outbox = outbox_open(context, &terms);
    return p;
}

void poster_wake(struct poster *p)
{
    outbox_wake(p->outbox);
}

bool poster_is_idle(const struct poster *p)
{
    return outbox_is_idle(p->outbox);
}

bool poster_is_ready(const struct poster *p)
{
    return outbox_is_ready(p->outbox);
}

/* Closing the client ends the calls in flight, and the outbox waits for those. */
void poster_close(struct poster *p)
{
    closing_begin(&p->closing, p, free, NULL, NULL);
    outbox_close(p->outbox);
    http_client_close(p->http, closing_part_closed, closing_part(&p->closing));
    closing_end(&p->closing);
}
