#include "emitter/daemon/intake.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/metric_table.h"
#include "emitter/daemon/problem.h"
#include "emitter/format/cloud_event.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { LOOK_EVERY_MS = 50 };

/* A request whose events are on their way to Redis. */
struct waiting {
    struct http_exchange *exchange;
    uint64_t wanted;     /* delivery_sent, when all of them are there */
    int64_t deadline_ms; /* monotonic */
    int status;
    struct buf body; /* of the answer, then */
    struct buf ids;
    struct waiting *next;
};

struct intake {
    const struct context *context;
    struct format format;
    uv_timer_t timer;
    struct waiting *first; /* in the order in which they are sent */
    struct waiting *last;
    bool is_full;
    struct closing closing;
};

/* What becomes of one request's events. */
struct batch {
    struct intake *intake;
    struct buf events; /* JSON, one after the other */
    struct buf ids;    /* the same of those that were taken */
    int64_t now_ms;
    int accepted;
    int refused;
    int unavailable;
    char why[200]; /* of the first that was refused */
};

/* Taking. */

static void add_comma(struct buf *list)
{
    if (list->length > 0)
        buf_add_char(list, ',');
}

static void add_failed(struct buf *out, const char *status, const char *code, const char *why)
{
    add_comma(out);
    buf_printf(out, "{\"status\":\"%s\",\"error\":{\"code\":\"%s\",\"message\":", status, code);
    buf_add_json_str(out, why, strlen(why));
    buf_add_str(out, "}}");
}

static void add_accepted(struct batch *b, const struct event_line *event, const char *made_id)
{
    struct slice id =
        event->given[EVENT_ID] ? event->known[EVENT_ID] : (struct slice){made_id, strlen(made_id)};
    b->accepted++;
    add_comma(&b->events);
    buf_add_str(&b->events, "{\"status\":\"accepted\",\"id\":");
    buf_add_json_str(&b->events, id.data, id.length);
    buf_add_char(&b->events, '}');
    if (!b->intake->context->config->spool) {
        add_comma(&b->ids);
        buf_add_json_str(&b->ids, id.data, id.length);
    }
}

static void take_event(void *owner, const struct event_line *event, const char *why)
{
    struct batch *b = owner;
    char made_id[UUID_TEXT_SIZE];
    struct err e;
    if (!event) {
        if (b->refused++ == 0)
            snprintf(b->why, sizeof b->why, "%s", why);
        add_failed(&b->events, "refused", "invalid_event", why);
        return;
    }
    enum spool_result result =
        outlet_put(b->intake->context->outlet, event, b->now_ms, 0, made_id, &e);
    b->intake->is_full = result != SPOOL_DONE;
    if (result == SPOOL_DONE) {
        add_accepted(b, event, made_id);
        return;
    }
    b->unavailable++;
    if (result == SPOOL_FULL)
        add_failed(&b->events, "unavailable", "spool_full",
                   "the spool is full, because Redis does not take what is in it: send the event "
                   "again later");
    else
        add_failed(&b->events, "unavailable", "spool_failed", e.text);
}

/* Answering. */

static int status_of(const struct batch *b)
{
    if (b->refused + b->unavailable == 0)
        return 202;
    if (b->accepted > 0)
        return 207;
    return b->unavailable > 0 ? 503 : 400;
}

static void count(const struct batch *b)
{
    metric_add(metric_with(METRIC_OF_EMITTED, "accepted"), b->accepted);
    metric_add(metric_with(METRIC_OF_EMITTED, "refused"), b->refused);
    metric_add(metric_with(METRIC_OF_EMITTED, "unavailable"), b->unavailable);
}

static void make_body(const struct batch *b, struct buf *body)
{
    buf_reserve(body, b->events.length + 128);
    buf_printf(body, "{\"accepted\":%d,\"refused\":%d,\"unavailable\":%d,\"events\":[", b->accepted,
               b->refused, b->unavailable);
    buf_add(body, b->events.data, b->events.length);
    buf_add_str(body, "]}");
}

static void reply(struct http_exchange *x, int status, const struct buf *body)
{
    if (status == 503)
        http_reply_header(x, "Retry-After", "1");
    http_reply(x, status, "application/json", body->data, body->length);
}

static void waiting_free(struct waiting *w)
{
    buf_done(&w->body);
    buf_done(&w->ids);
    free(w);
}

static struct waiting *pop_waiting(struct intake *i)
{
    struct waiting *w = i->first;
    i->first = w->next;
    if (!i->first)
        i->last = NULL;
    return w;
}

static void answer_unconfirmed(struct waiting *w)
{
    struct buf body = {0};
    buf_add_str(&body, "{\"error\":{\"code\":\"unconfirmed\",\"message\":\"Redis has not confirmed "
                       "the events in time, and they may be counted all the same: send them again "
                       "under the same ids\"},\"ids\":[");
    buf_add(&body, w->ids.data, w->ids.length);
    buf_add_str(&body, "]}");
    reply(w->exchange, 503, &body);
    buf_done(&body);
}

void intake_on_sent(struct intake *i)
{
    uint64_t sent = i->first ? delivery_sent(i->context->outlet->delivery) : 0;
    while (i->first && i->first->wanted <= sent) {
        struct waiting *w = pop_waiting(i);
        reply(w->exchange, w->status, &w->body);
        waiting_free(w);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct intake *i = timer->data;
    int64_t now_ms = clock_monotonic_ms();
    while (i->first && i->first->deadline_ms <= now_ms) {
        struct waiting *w = pop_waiting(i);
        answer_unconfirmed(w);
        waiting_free(w);
    }
    if (!i->first)
        uv_timer_stop(timer);
}

static void wait_for_redis(struct intake *i, struct batch *b, struct http_exchange *x, int status,
                           struct buf *body)
{
    struct waiting *w = xmalloc(sizeof *w);
    *w = (struct waiting){.exchange = x,
                          .wanted = spool_appended(i->context->outlet->spool),
                          .deadline_ms = clock_monotonic_ms() + i->context->config->wait_ms,
                          .status = status,
                          .body = *body,
                          .ids = b->ids};
    b->ids = (struct buf){0};
    *body = (struct buf){0};
    if (i->last)
        i->last->next = w;
    else
        i->first = w;
    i->last = w;
    if (!uv_is_active((uv_handle_t *)&i->timer))
        uv_timer_start(&i->timer, on_timer, LOOK_EVERY_MS, LOOK_EVERY_MS);
}

/* Forms. */

static bool is_type(const char *type, const char *const *names)
{
    size_t length = strcspn(type, "; \t");
    for (; *names; names++)
        if (strlen(*names) == length && !strncasecmp(type, *names, length))
            return true;
    return false;
}

static int read_binary(struct format *f, const struct http_exchange *x, struct err *e)
{
    const char *headers[CLOUD_ATTRIBUTES];
    for (int i = 0; i < CLOUD_ATTRIBUTES; i++) {
        char name[32];
        snprintf(name, sizeof name, "ce-%s", CLOUD_NAMES[i]);
        headers[i] = http_exchange_header(x, name);
    }
    return format_cloud_binary(f, headers, x->body, x->body_length, e);
}

static int read_body(struct format *f, const struct http_exchange *x, struct err *e)
{
    static const char *const JSON[] = {"application/json", "text/json", NULL};
    static const char *const LINES[] = {"application/x-ndjson", "application/ndjson",
                                        "application/jsonl", "application/x-jsonlines", NULL};
    static const char *const CSV[] = {"text/csv", "application/csv", NULL};
    static const char *const CLOUD[] = {"application/cloudevents+json", NULL};
    static const char *const CLOUDS[] = {"application/cloudevents-batch+json", NULL};
    const char *type = http_exchange_header(x, "Content-Type");
    type = type ? type : JSON[0];
    if (is_type(type, CLOUD))
        return format_cloud_event(f, x->body, x->body_length, e);
    if (is_type(type, CLOUDS))
        return format_cloud_batch(f, x->body, x->body_length, e);
    if (is_type(type, JSON) && http_exchange_header(x, "ce-specversion"))
        return read_binary(f, x, e);
    if (is_type(type, JSON))
        return format_json(f, x->body, x->body_length, e);
    if (is_type(type, LINES))
        return format_lines(f, x->body, x->body_length, e);
    if (is_type(type, CSV))
        return format_csv(f, x->body, x->body_length, http_exchange_query(x, "map"), e);
    err_set(e, ERR_INPUT,
            "the Content-Type must be application/json, application/x-ndjson, text/csv, "
            "application/cloudevents+json or application/cloudevents-batch+json");
    e->code = 415;
    return -1;
}

static void begin(struct intake *i, struct batch *b, const struct caller *caller)
{
    struct format *f = &i->format;
    *b = (struct batch){.intake = i, .now_ms = clock_unix_ms()};
    f->now_ms = b->now_ms;
    f->metrics = i->context->metrics;
    f->tenant = caller->tenant;
    f->is_bound = caller->is_bound;
    f->take = take_event;
    f->owner = b;
}

/* All of it was read: what is in body is the answer, once Redis or the spool has the events. */
static void finish(struct intake *i, struct batch *b, struct http_exchange *x,
                   const struct caller *caller, int status, struct buf *body)
{
    count(b);
    access_spend(i->context->access, caller, b->accepted);
    if (b->accepted > 0 && !i->context->config->spool)
        wait_for_redis(i, b, x, status, body);
    else
        reply(x, status, body);
    buf_done(body);
    buf_done(&b->events);
    buf_done(&b->ids);
}

void intake_take(struct intake *i, struct http_exchange *x, const struct caller *caller)
{
    struct batch b;
    struct buf body = {0};
    struct err e;
    begin(i, &b, caller);
    if (read_body(&i->format, x, &e)) {
        answer_error(x, e.code ? e.code : 400, e.code ? "unsupported_media_type" : "invalid_body",
                     e.text);
        return;
    }
    make_body(&b, &body);
    finish(i, &b, x, caller, status_of(&b), &body);
}

/* Feeds. */

/* Some are taken: what is wrong with the others is told, and nothing is sent again. All are
 * refused: they are not to be sent again. The spool is full: they are. */
static int otlp_status(const struct batch *b)
{
    if (b->unavailable > 0)
        return 503;
    return b->refused > 0 && b->accepted == 0 ? 400 : 200;
}

static void make_otlp_body(const struct batch *b, bool is_logs, int status, struct buf *body)
{
    const char *text = b->why[0] ? b->why : "the spool takes no events now";
    if (status == 200 && b->refused == 0) {
        buf_add_str(body, "{}");
        return;
    }
    if (status == 200)
        buf_printf(body, "{\"partialSuccess\":{\"%s\":\"%d\",\"errorMessage\":",
                   is_logs ? "rejectedLogRecords" : "rejectedSpans", b->refused);
    else
        buf_printf(body, "{\"code\":%d,\"message\":", status == 400 ? 3 : 14);
    buf_add_json_str(body, text, strlen(text));
    buf_add_str(body, status == 200 ? "}}" : "}");
}

void intake_take_feed(struct intake *i, struct http_exchange *x, const struct caller *caller,
                      ai_feed_fn feed, bool is_otlp)
{
    static const char *const JSON[] = {"application/json", "text/event-stream", NULL};
    const char *type = http_exchange_header(x, "Content-Type");
    struct batch b;
    struct buf body = {0};
    struct err e;
    if (ai_table_is_empty(i->context->ai_table)) {
        answer_error(x, 400, "not_configured",
                     "the catalog (EMITTER_CATALOG) has no gateway_usage");
        return;
    }
    if (type && !is_type(type, JSON)) {
        answer_error(x, 415, "unsupported_media_type",
                     "the Content-Type must be application/json; OTLP as protobuf is not taken");
        return;
    }
    begin(i, &b, caller);
    if (feed(&i->format, i->context->ai_table, x->body, x->body_length, &e)) {
        answer_error(x, 400, "invalid_body", e.text);
        return;
    }
    int status = is_otlp ? otlp_status(&b) : status_of(&b);
    if (is_otlp)
        make_otlp_body(&b, !strcmp(x->path, "/v1/logs"), status, &body);
    else
        make_body(&b, &body);
    finish(i, &b, x, caller, status, &body);
}

struct intake *intake_open(const struct context *context)
{
    static const char *const OUTCOMES[] = {"accepted", "refused", "unavailable"};
    struct intake *i = xcalloc(1, sizeof *i);
    i->context = context;
    for (size_t n = 0; n < sizeof OUTCOMES / sizeof *OUTCOMES; n++)
        metric_with(METRIC_OF_EMITTED, OUTCOMES[n]);
    uv_timer_init(stage_loop(context->stage), &i->timer);
    i->timer.data = i;
    return i;
}

bool intake_is_full(const struct intake *i)
{
    return i->is_full;
}

static void intake_free(void *self)
{
    struct intake *i = self;
    format_done(&i->format);
    free(i);
}

void intake_give_up(struct intake *i)
{
    while (i->first) {
        struct waiting *w = pop_waiting(i);
        answer_unconfirmed(w);
        waiting_free(w);
    }
}

void intake_close(struct intake *i)
{
    intake_give_up(i);
    closing_begin(&i->closing, i, intake_free, NULL, NULL);
    closing_handle(&i->closing, &i->timer);
    closing_end(&i->closing);
}
