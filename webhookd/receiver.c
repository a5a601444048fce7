/* Takes events in. 200 means one thing: the event is committed in webhook_events.
 *
 * The happy path: the body is whole, its signature fits, it is an event; it waits until the
 * connection is free, is inserted with the others that wait, and after COMMIT the answer is
 * {"received":true}.
 *
 * Failure modes. PostgreSQL is away, has no schema yet, or does not answer in time: 503, and Stripe
 * sends the event again (for three days); if it was kept after all, the second delivery changes
 * nothing. One of several events is refused by PostgreSQL: they are tried again one by one, and the
 * culprit gets 500. Answers tell no detail: who can see one may be the forger. */
#include "webhookd/receiver_internal.h"

#include "common/clock.h"
#include "common/metric_table.h"
#include "common/peer.h"
#include "common/schema.h"
#include "webhookd/signature.h"

#include <stdlib.h>
#include <string.h>

enum { BODY_MAX_BYTES = 256 * 1024, SCHEMA_RETRY_MS = 1000 };

static const char RECEIVED[] = "{\"received\":true}";

static void count(const char *outcome)
{
    metric_count(METRIC_OF_WEBHOOK_REQUESTS, outcome);
}

void receiver_answer(struct http_exchange *x, int status, const char *outcome)
{
    static const char *const NOTHING = "{}";
    const char *body = status == 200 ? RECEIVED : NOTHING;
    count(outcome);
    http_reply(x, status, "application/json", body, strlen(body));
}

static void refuse(struct receiver *r, struct http_exchange *x, const char *outcome,
                   const char *why)
{
    uint64_t held;
    if (log_repeat_failed(&r->refused, clock_monotonic_ms(), &held))
        log_warn("webhook_refused", LOG_STR("reason", outcome), LOG_U64("held_back", held),
                 LOG_I64("body_bytes", x->body_length), LOG_MSG(why));
    receiver_answer(x, 400, outcome);
}

/* Signature first: nobody but Stripe gets as far as our JSON parser. */
static void take_body(struct receiver *r, struct http_exchange *x)
{
    struct err e;
    const char *header = http_exchange_header(x, "Stripe-Signature");
    enum signature verdict = signature_verify(header, x->body, x->body_length,
                                              r->d->config.webhook_secrets, clock_unix_ms() / 1000);
    if (verdict != SIGNATURE_OK) {
        refuse(r, x, "bad_signature", signature_name(verdict));
        return;
    }
    struct delivery *w = xcalloc(1, sizeof *w);
    w->exchange = x;
    if (stripe_event_parse(x->body, x->body_length, &w->event, &e)) {
        free(w);
        refuse(r, x, "bad_event", e.text);
        return;
    }
    receiver_queue(r, w);
    receiver_store(r);
}

static void on_request(void *owner, struct http_exchange *x)
{
    struct receiver *r = owner;
    if (strcmp(x->path, "/webhooks/stripe") != 0) {
        receiver_answer(x, 404, "wrong_path");
    } else if (strcmp(x->method, "POST") != 0) {
        http_reply_header(x, "Allow", "POST");
        receiver_answer(x, 405, "wrong_method");
    } else if (x->too_large) {
        receiver_answer(x, 413, "too_large");
    } else if (stage_is_draining(r->d->stage)) {
        receiver_answer(x, 503, "unavailable");
    } else {
        take_body(r, x);
    }
}

static void check_schema(struct receiver *r);

static void on_schema_timer(uv_timer_t *timer)
{
    check_schema(timer->data);
}

static void log_schema_awaited(struct receiver *r, const struct err *error)
{
    uint64_t held;
    if (log_repeat_failed(&r->schema, clock_monotonic_ms(), &held))
        log_warn("schema_awaited", LOG_U64("held_back", held), LOG_ERR(error));
}

static void on_schema(void *owner, const struct err *error)
{
    struct receiver *r = owner;
    r->checking_schema = false;
    r->d->schema_ready = error == NULL;
    if (!error) {
        receiver_store(r);
        webhookd_wake_workers(r->d);
    } else if (error->kind == ERR_SCHEMA && !error->retry) {
        log_error("schema_refused", LOG_ERR(error));
        stage_finish(r->d->stage, EXIT_FAILED);
    } else if (error->kind == ERR_SCHEMA && !r->closing) {
        log_schema_awaited(r, error);
        uv_timer_start(&r->schema_timer, on_schema_timer, SCHEMA_RETRY_MS, 0);
    }
    if (error)
        receiver_fail_waiting(r);
}

static void check_schema(struct receiver *r)
{
    /* Else the connection was lost meanwhile, and its coming back asks again. */
    if (r->closing || r->checking_schema || !pg_is_ready(r->pg))
        return;
    r->checking_schema = true;
    schema_check(r->pg, on_schema, r);
}

static void on_up(void *owner)
{
    check_schema(owner);
}

static struct receiver *receiver_new(struct webhookd *d)
{
    struct receiver *r = xcalloc(1, sizeof *r);
    r->d = d;
    uv_timer_init(stage_loop(d->stage), &r->schema_timer);
    r->schema_timer.data = r;
    r->open_parts = 3;
    return r;
}

static void on_part_closed(void *owner);
static void on_timer_closed(uv_handle_t *handle);

struct receiver *receiver_open(struct webhookd *d, struct err *e)
{
    struct receiver *r = receiver_new(d);
    r->server = http_server_open(stage_loop(d->stage), "webhooks", d->config.listen, BODY_MAX_BYTES,
                                 on_request, r, e);
    if (!r->server) {
        r->open_parts = 1;
        uv_close((uv_handle_t *)&r->schema_timer, on_timer_closed);
        err_wrap(e, "WEBHOOKD_LISTEN");
        return NULL;
    }
    r->pg = pg_open(stage_loop(d->stage), d->config.base.database_url, "meterline_webhookd",
                    "meterline-webhookd-receiver", (struct pg_events){.on_up = on_up, .owner = r});
    return r;
}

void receiver_quiesce(struct receiver *r)
{
    http_server_quiesce(r->server);
}

bool receiver_is_idle(const struct receiver *r)
{
    return http_server_in_flight(r->server) == 0;
}

bool receiver_is_ready(const struct receiver *r, struct buf *why)
{
    if (!pg_is_up(r->pg))
        peer_add_why(PEER_POSTGRES, why);
    else if (!r->d->schema_ready)
        buf_add_str(why, "postgres: the schema is missing, older, or being asked for\n");
    return pg_is_up(r->pg) && r->d->schema_ready;
}

static void part_closed(struct receiver *r)
{
    if (--r->open_parts == 0)
        free(r);
}

static void on_part_closed(void *owner)
{
    part_closed(owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

/* The connection goes first: what it was storing is answered while there still is a server. */
void receiver_close(struct receiver *r)
{
    r->closing = true;
    receiver_fail_waiting(r);
    pg_close(r->pg, on_part_closed, r);
    http_server_close(r->server, on_part_closed, r);
    uv_close((uv_handle_t *)&r->schema_timer, on_timer_closed);
}
