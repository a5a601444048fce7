/* stripe DELAY_MS: a stand-in for Stripe that does little, so that what is measured is the sink:
 * the tests' sandbox knows far more, and is slower. It listens on a free port of 127.0.0.1, which
 * the log line `listening` tells, and answers
 *
 *     POST /v1/billing/meter_events           with a receipt, DELAY_MS later
 *     POST /v2/billing/meter_event_session    at once
 *     POST /v2/billing/meter_event_stream     with {}, DELAY_MS later
 *     GET  /received                          with what it was told: see received.h
 *
 * until it is ended by a signal. */
#include "common/clock.h"
#include "common/http/http_server.h"
#include "common/log.h"
#include "common/str.h"
#include "tests/bench/received.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX_BYTES = 1 << 20, SESSION_S = 900 };

/* An answer that waits for its time. All wait equally long, so that the first one is due first. */
struct answer {
    struct http_exchange *exchange;
    struct buf body;
    uint64_t due_ms; /* of the loop's clock */
    struct answer *next;
};

static struct received received;
static uint64_t delay_ms;
static uv_timer_t timer;
static struct answer *first_waiting;
static struct answer **last_waiting = &first_waiting;

static void reply(struct http_exchange *x, int status, const struct buf *body)
{
    http_reply_header(x, "Request-Id", "req_bench");
    http_reply(x, status, "application/json", body->data, body->length);
}

static void on_due(uv_timer_t *t)
{
    struct answer *a;

    uv_update_time(t->loop);
    while ((a = first_waiting) && a->due_ms <= uv_now(t->loop)) {
        first_waiting = a->next;
        reply(a->exchange, 200, &a->body);
        buf_done(&a->body);
        free(a);
    }
    if (!first_waiting)
        last_waiting = &first_waiting;
    else
        uv_timer_start(t, on_due, first_waiting->due_ms - uv_now(t->loop), 0);
}

static void reply_later(struct http_exchange *x, struct buf *body)
{
    struct answer *a = xcalloc(1, sizeof *a);

    uv_update_time(timer.loop);
    *a = (struct answer){.exchange = x, .body = *body, .due_ms = uv_now(timer.loop) + delay_ms};
    *last_waiting = a;
    last_waiting = &a->next;
    if (first_waiting == a)
        uv_timer_start(&timer, on_due, delay_ms, 0);
}

static void refuse(struct http_exchange *x, const char *why)
{
    struct buf body = {0};

    received.refused++;
    buf_printf(&body, "{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"%s\"}}", why);
    reply(x, 400, &body);
    buf_done(&body);
}

/* Meter events. */

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;

    return at ? (int)(at - digits) : -1;
}

/* The value of a form's field, decoded in place in out; false if there is none. */
static bool read_field(const char *form, const char *name, struct buf *out)
{
    size_t length = strlen(name);
    const char *at = form;

    while (strncmp(at, name, length) != 0 || at[length] != '=') {
        at = strchr(at, '&');
        if (!at++)
            return false;
    }
    for (at += length + 1; *at && *at != '&'; at++) {
        bool escaped = *at == '%' && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0;

        int byte = *at == '+' ? ' ' : *at;

        if (escaped)
            byte = hex_digit(at[1]) * 16 + hex_digit(at[2]);
        buf_add_char(out, (char)byte);
        at += escaped ? 2 : 0;
    }
    return out->length > 0;
}

enum { NAME, CUSTOMER, VALUE, IDENTIFIER, TIMESTAMP, FIELDS };
static const char *const FIELD_NAMES[FIELDS] = {"event_name", "payload[stripe_customer_id]",
                                                "payload[value]", "identifier", "timestamp"};

static void add_member(struct buf *b, const char *name, const struct buf *value)
{
    buf_printf(b, "\"%s\":", name);
    buf_add_json_str(b, value->data, value->length);
    buf_add_char(b, ',');
}

static void write_receipt(const struct buf f[FIELDS], struct buf *out)
{
    buf_add_str(out, "{\"object\":\"billing.meter_event\",");
    add_member(out, "event_name", &f[NAME]);
    add_member(out, "identifier", &f[IDENTIFIER]);
    buf_add_str(out, "\"livemode\":false,\"payload\":{");
    add_member(out, "stripe_customer_id", &f[CUSTOMER]);
    buf_add_str(out, "\"value\":");
    buf_add_json_str(out, f[VALUE].data, f[VALUE].length);
    buf_printf(out, "},\"timestamp\":%s,\"created\":%lld}", f[TIMESTAMP].data,
               (long long)(clock_unix_ms() / 1000));
}

static void take_meter_event(struct http_exchange *x)
{
    struct buf fields[FIELDS] = {0};
    struct buf receipt = {0};
    bool whole = true;

    for (int i = 0; i < FIELDS; i++)
        whole &= read_field(x->body, FIELD_NAMES[i], &fields[i]);
    if (whole && received_add(&received, fields[IDENTIFIER].data, fields[VALUE].data) == 0) {
        received.calls++;
        write_receipt(fields, &receipt);
        reply_later(x, &receipt);
    } else {
        refuse(x, "this is no meter event");
    }
    for (int i = 0; i < FIELDS; i++)
        buf_done(&fields[i]);
}

/* The stream. */

static void open_session(struct http_exchange *x)
{
    struct buf body = {0};
    char created[CLOCK_TEXT_SIZE];
    char expires[CLOCK_TEXT_SIZE];

    clock_format_iso(clock_unix_ms(), created);
    clock_format_iso(clock_unix_ms() + SESSION_S * 1000, expires);
    buf_printf(&body,
               "{\"id\":\"mes_bench\",\"object\":\"v2.billing.meter_event_session\","
               "\"authentication_token\":\"bench\",\"created\":\"%s\",\"expires_at\":\"%s\","
               "\"livemode\":false}",
               created, expires);
    reply(x, 200, &body);
    buf_done(&body);
}

static bool take_event(const json_t *event)
{
    const char *identifier = json_string_value(json_object_get(event, "identifier"));
    const json_t *payload = json_object_get(event, "payload");
    const char *value = json_string_value(json_object_get(payload, "value"));

    return identifier && value && json_string_value(json_object_get(event, "timestamp")) &&
           json_string_value(json_object_get(event, "event_name")) &&
           json_string_value(json_object_get(payload, "stripe_customer_id")) &&
           received_add(&received, identifier, value) == 0;
}

static void take_stream(struct http_exchange *x)
{
    json_t *root = json_loadb(x->body, x->body_length, 0, NULL);
    const json_t *events = json_object_get(root, "events");
    bool whole = json_array_size(events) > 0;
    struct buf empty = {0};

    for (size_t i = 0; i < json_array_size(events) && whole; i++)
        whole = take_event(json_array_get(events, i));
    json_decref(root);
    if (!whole) {
        refuse(x, "these are no meter events");
        return;
    }
    received.calls++;
    buf_add_str(&empty, "{}");
    reply_later(x, &empty);
}

static void tell_received(struct http_exchange *x)
{
    const struct received *r = &received;
    struct buf body = {0};

    buf_printf(&body,
               "{\"calls\":%lld,\"events\":%lld,\"distinct\":%lld,\"total\":%lld,"
               "\"refused\":%lld}",
               (long long)r->calls, (long long)r->events, (long long)r->distinct,
               (long long)r->total, (long long)r->refused);
    reply(x, 200, &body);
    buf_done(&body);
}

/* A key that may not list meters: the sink then sends on without having looked at them. */
static void take_meters(struct http_exchange *x)
{
    static const char FORBIDDEN[] = "{\"error\":{\"type\":\"invalid_request_error\","
                                    "\"message\":\"This key may not list meters\"}}";
    struct buf body = {0};

    buf_add_str(&body, FORBIDDEN);
    reply(x, 403, &body);
    buf_done(&body);
}

static const struct route {
    const char *method;
    const char *path;
    void (*take)(struct http_exchange *x);
} ROUTES[] = {
    {"POST", "/v1/billing/meter_events", take_meter_event},
    {"POST", "/v2/billing/meter_event_session", open_session},
    {"POST", "/v2/billing/meter_event_stream", take_stream},
    {"GET", "/received", tell_received},
    {"GET", "/v1/billing/meters", take_meters},
};

static void on_request(void *owner, struct http_exchange *x)
{
    (void)owner;
    for (size_t i = 0; i < sizeof ROUTES / sizeof *ROUTES; i++)
        if (!strcmp(x->method, ROUTES[i].method) && !strcmp(x->path, ROUTES[i].path)) {
            ROUTES[i].take(x);
            return;
        }
    refuse(x, "Unrecognized request URL");
}

int main(int argc, char **argv)
{
    uv_loop_t *loop = uv_default_loop();
    struct err e;

    if (argc != 2 || sodium_init() < 0) {
        fprintf(stderr, "usage: stripe DELAY_MS\n");
        return 1;
    }
    delay_ms = strtoull(argv[1], NULL, 10);
    log_init("stripe", LOG_INFO, LOG_LOGFMT);
    uv_timer_init(loop, &timer);
    if (!http_server_open(loop, "stripe", "127.0.0.1:0", BODY_MAX_BYTES, on_request, NULL, &e)) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    return uv_run(loop, UV_RUN_DEFAULT);
}
