#include "emitter/daemon/quota_hold.h"

#include "common/clock.h"
#include "common/contract.h"
#include "common/events/format.h"
#include "common/json_exact.h"
#include "common/redis/redis_router.h"
#include "emitter/daemon/problem.h"
#include "emitter/daemon/quota_answer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBERS = 8, NUMBER_SIZE = 24 };
static const char TTL_MS[] = "60000";

struct quota_hold {
    const struct context *context;
    struct redis_router *router;
};

/* A call, from its request to its answer. */
struct call {
    struct quota_hold *hold;
    struct http_exchange *exchange;
    json_t *body; /* owned; NULL: all is in the query */
    struct quota_ask ask;
    struct slice id;
    char *hash; /* owned: the key of the quota cache */
    int64_t asked_ms;
    /* Of an event that is emitted here. */
    struct format format;
    bool is_event;       /* format.event is one */
    const char *refused; /* why not, while it is read */
    char made_ts[NUMBER_SIZE];
    char numbers[NUMBERS][NUMBER_SIZE]; /* their texts */
    int numbers_count;
    char *entry; /* owned: what XADD answered */
};

static void call_free(struct call *c)
{
    format_done(&c->format);
    json_decref(c->body);
    free(c->hash);
    free(c->entry);
    free(c);
}

static void end_with(struct call *c, int status, const char *code, const char *message)
{
    answer_error(c->exchange, status, code, message);
    call_free(c);
}

/* Requests. */

/* Of the body, else of the query; "" if it is not there. Lives as long as c. */
static struct slice text_of(struct call *c, const char *name)
{
    const json_t *value = json_object_get(c->body, name);
    if (json_is_string(value))
        return (struct slice){json_string_value(value), json_string_length(value)};
    if (json_is_integer(value)) {
        assert(c->numbers_count < NUMBERS);
        char *number = c->numbers[c->numbers_count++];
        int length =
            snprintf(number, NUMBER_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        return (struct slice){number, (size_t)length};
    }
    const char *text = http_exchange_query(c->exchange, name);
    return (struct slice){text ? text : "", text ? strlen(text) : 0};
}

static struct call *begin(struct quota_hold *h, struct http_exchange *x,
                          const struct caller *caller)
{
    struct call *c = xcalloc(1, sizeof *c);
    struct err e;
    c->hold = h;
    c->exchange = x;
    c->asked_ms = clock_unix_ms();
    if (x->body_length > 0) {
        c->body = json_exact_load(x->body, x->body_length);
        if (!json_is_object(c->body)) {
            end_with(c, 400, "invalid_body", "the body must be a JSON object");
            return NULL;
        }
    }
    c->ask.tenant = text_of(c, "tenant");
    c->ask.metric = text_of(c, "metric");
    c->ask.quantity = (struct slice){"1", 1};
    c->id = text_of(c, "id");
    if (c->ask.tenant.length == 0)
        c->ask.tenant = caller->tenant;
    if (caller->is_bound && !slice_equals(caller->tenant, c->ask.tenant))
        end_with(c, 403, "wrong_tenant", "the key is for another tenant");
    else if (quota_ask_check(&c->ask, &e))
        end_with(c, 400, "invalid_request", e.text);
    else if (c->id.length == 0)
        end_with(c, 400, "invalid_request", "id is missing: the id of the reservation");
    else
        return c;
    return NULL;
}

static void call_function(struct call *c, int argc, const char **argv, const size_t *lengths,
                          redis_done_fn done)
{
    redis_router_command(c->hold->router, c->hash, strlen(c->hash),
                         (uint64_t)c->hold->context->config->quota_timeout_ms, done, c, argc, argv,
                         lengths);
}

static void make_hash(struct call *c)
{
    c->hash = xasprintf(QUOTA_KEY_PREFIX "%.*s}", (int)c->ask.tenant.length, c->ask.tenant.data);
}

/* Reserving. */

static void on_reserved(void *owner, const struct err *error, void *reply)
{
    struct call *c = owner;
    struct quota_answer a = {0};
    const struct daemon_config *config = c->hold->context->config;
    static const char OURS[] = "ERR meterline: ";
    if (error && error->kind == ERR_REFUSED && !strncmp(error->text, OURS, sizeof OURS - 1)) {
        end_with(c, 400, "invalid_request", error->text + sizeof OURS - 1);
        return;
    }
    if (error || quota_answer_take(&a, &c->ask, reply))
        quota_answer_fail(&a, &c->ask, config->quota_fail == QUOTA_FAIL_OPEN);
    struct http_response *r = quota_response_new(config, &a, c->asked_ms, QUOTA_DENIED);
    http_reply_with(c->exchange, r);
    http_response_free(r);
    quota_answer_done(&a);
    call_free(c);
}

void quota_hold_reserve(struct quota_hold *h, struct http_exchange *x, const struct caller *caller)
{
    struct err e;
    struct call *c = begin(h, x, caller);
    if (!c)
        return;
    struct slice given = text_of(c, "quantity");
    struct slice ttl = text_of(c, "ttl_ms");
    if (given.length > 0)
        c->ask.quantity = given;
    if (ttl.length == 0)
        ttl = (struct slice){TTL_MS, sizeof TTL_MS - 1};
    if (quota_ask_check(&c->ask, &e)) {
        end_with(c, 400, "invalid_request", e.text);
        return;
    }
    make_hash(c);
    const char *argv[] = {"FCALL",
                          "meterline_reserve",
                          "1",
                          c->hash,
                          c->ask.metric.data,
                          c->ask.quantity.data,
                          c->id.data,
                          ttl.data};
    const size_t lengths[] = {5,
                              17,
                              1,
                              strlen(c->hash),
                              c->ask.metric.length,
                              c->ask.quantity.length,
                              c->id.length,
                              ttl.length};
    call_function(c, 8, argv, lengths, on_reserved);
}

/* Settling. */

static void answer_settled(struct call *c, int status, bool is_settled)
{
    struct buf body = {0};
    buf_printf(&body, "{\"settled\":%s,\"entry\":", is_settled ? "true" : "false");
    if (c->entry && *c->entry)
        buf_add_json_str(&body, c->entry, strlen(c->entry));
    else
        buf_add_str(&body, "null");
    if (c->is_event) {
        struct slice id = c->format.event.known[EVENT_ID];
        buf_add_str(&body, ",\"event\":{\"status\":\"accepted\",\"id\":");
        buf_add_json_str(&body, id.data, id.length);
        buf_add_char(&body, '}');
    }
    buf_add_char(&body, '}');
    http_reply(c->exchange, status, "application/json", body.data, body.length);
    buf_done(&body);
    call_free(c);
}

/* The event is counted in any case; a reservation that could not be settled ends by its time. */
static void on_settled(void *owner, const struct err *error, void *reply)
{
    struct call *c = owner;
    const redisReply *found = reply;
    if (error && !c->is_event)
        end_with(c, error->kind == ERR_REFUSED ? 400 : 503, "not_settled", error->text);
    else
        answer_settled(c, 200, !error && found->type == REDIS_REPLY_INTEGER && found->integer == 1);
}

static void settle(struct call *c)
{
    const struct event_line *event = &c->format.event;
    struct slice used = c->is_event && event->given[EVENT_QUANTITY] ? event->known[EVENT_QUANTITY]
                                                                    : text_of(c, "quantity");
    make_hash(c);
    const char *argv[] = {"FCALL",    "meterline_settle", "1",      c->hash, c->ask.metric.data,
                          c->id.data, c->entry,           used.data};
    const size_t lengths[] = {
        5,          16, 1, strlen(c->hash), c->ask.metric.length, c->id.length, strlen(c->entry),
        used.length};
    call_function(c, used.length > 0 ? 8 : 7, argv, lengths, on_settled);
}

static void spool_event(struct call *c)
{
    char made_id[UUID_TEXT_SIZE];
    struct err e;
    enum spool_result result =
        outlet_put(c->hold->context->outlet, &c->format.event, c->asked_ms, 0, made_id, &e);
    if (result == SPOOL_DONE)
        answer_settled(c, 202, false);
    else
        end_with(c, 503, result == SPOOL_FULL ? "spool_full" : "spool_failed",
                 "neither Redis nor the spool takes the event now: send it again later");
}

static void on_added(void *owner, const struct err *error, void *reply)
{
    struct call *c = owner;
    const redisReply *found = reply;
    if (error && error->kind == ERR_CANCELED) {
        end_with(c, 503, "stopping", "the emitter is being stopped: send it again");
        return;
    }
    if (error || found->type != REDIS_REPLY_STRING) {
        spool_event(c);
        return;
    }
    c->entry = xstrdup(found->str);
    settle(c);
}

static void add_event(struct call *c)
{
    struct event_arguments a;
    const struct outlet *o = c->hold->context->outlet;
    struct slice tenant = c->format.event.known[EVENT_TENANT];
    int64_t shards = o->config.base.stream_shards;
    const char *key = o->keys[shards > 1 ? str_crc16(tenant.data, tenant.length) % shards : 0];
    snprintf(c->made_ts, sizeof c->made_ts, "%" PRId64, c->asked_ms);
    event_line_arguments(&c->format.event, key, c->made_ts, &a);
    redis_router_command(c->hold->router, key, strlen(key),
                         (uint64_t)c->hold->context->config->quota_timeout_ms, on_added, c, a.count,
                         a.argv, a.lengths);
}

static void take_event(void *owner, const struct event_line *event, const char *why)
{
    struct call *c = owner;
    c->is_event = event != NULL;
    c->refused = why;
}

/* What the event does not say, the reservation does: tenant, metric, and its id. */
static void read_event(struct call *c, const json_t *event)
{
    struct format *f = &c->format;
    const char *name;
    json_t *value;
    int failed = 0;
    f->now_ms = c->asked_ms;
    f->metrics = c->hold->context->metrics;
    f->tenant = c->ask.tenant;
    f->is_bound = true;
    f->take = take_event;
    f->owner = c;
    format_begin(f);
    json_object_foreach((json_t *)event, name, value) failed =
        failed || format_give(f, name, value);
    if (!failed && !f->event.given[EVENT_METRIC])
        failed = event_line_give(&f->event, EVENT_METRIC, c->ask.metric);
    if (!failed && !f->event.given[EVENT_ID])
        failed = event_line_give(&f->event, EVENT_ID, c->id);
    format_end(f, failed);
}

void quota_hold_settle(struct quota_hold *h, struct http_exchange *x, const struct caller *caller)
{
    struct call *c = begin(h, x, caller);
    if (!c)
        return;
    const json_t *event = json_object_get(c->body, "event");
    if (!event) {
        struct slice entry = text_of(c, "entry");
        c->entry = xstrndup(entry.data, entry.length);
        settle(c);
        return;
    }
    if (!json_is_object(event)) {
        end_with(c, 400, "invalid_event", "event must be an object");
        return;
    }
    read_event(c, event);
    if (c->is_event)
        add_event(c);
    else
        end_with(c, 400, "invalid_event", c->refused);
}

struct quota_hold *quota_hold_open(const struct context *context, struct redis_router *router)
{
    struct quota_hold *h = xcalloc(1, sizeof *h);
    *h = (struct quota_hold){.context = context, .router = router};
    return h;
}

void quota_hold_close(struct quota_hold *h)
{
    free(h);
}
