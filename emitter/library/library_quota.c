/* The library's functions about quotas: what a service asks, as commands, and the answer. */
#include "emitter/library/library_internal.h"

#include "common/clock.h"
#include "common/contract.h"
#include "common/dec.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PARTS = 7, ARGUMENTS = 8, NUMBER_SIZE = 24 };
static const int64_t TTL_DEFAULT_MS = 60000;

struct command {
    const char *argv[ARGUMENTS];
    size_t lengths[ARGUMENTS];
    int count;
};

static void add(struct command *c, const char *text)
{
    c->argv[c->count] = text;
    c->lengths[c->count++] = strlen(text);
}

static int check_ask(const struct meterline_ask *ask)
{
    struct dec quantity;
    size_t length = ask->tenant ? strlen(ask->tenant) : 0;
    if (length == 0 || length > TENANT_MAX_BYTES || !str_is_utf8(ask->tenant, length) ||
        str_has_control(ask->tenant, length))
        return library_fail(METERLINE_INVALID, "tenant: must be 1 to %d bytes", TENANT_MAX_BYTES);
    if (!ask->metric || !str_is_name(ask->metric, strlen(ask->metric)))
        return library_fail(METERLINE_INVALID, "metric: must be [a-z0-9_]{1,64}");
    if (ask->quantity && (dec_parse_quantity(ask->quantity, strlen(ask->quantity), &quantity) ||
                          dec_cmp(quantity, DEC_ZERO) < 0))
        return library_fail(METERLINE_INVALID, "quantity: must be a decimal from 0 on, of up to 18 "
                                               "digits, and up to 9 behind a point");
    return METERLINE_OK;
}

static bool has_id(const struct meterline_ask *ask)
{
    return ask->id && *ask->id;
}

static int refuse_without_id(void)
{
    return library_fail(METERLINE_INVALID, "id: is missing: the id of the reservation");
}

/* Asking. */

static void copy_text(char *out, size_t size, const redisReply *part)
{
    snprintf(out, size, "%s", part->str);
}

static int take_answer(const redisReply *reply, struct meterline_answer *out)
{
    if (reply->type == REDIS_REPLY_ERROR || reply->type != REDIS_REPLY_ARRAY ||
        reply->elements != PARTS)
        return -1;
    for (size_t i = 0; i < PARTS; i++)
        if (reply->element[i]->type != REDIS_REPLY_STRING)
            return -1;
    copy_text(out->verdict, sizeof out->verdict, reply->element[0]);
    copy_text(out->reason, sizeof out->reason, reply->element[1]);
    copy_text(out->used, sizeof out->used, reply->element[2]);
    copy_text(out->held, sizeof out->held, reply->element[3]);
    copy_text(out->limit, sizeof out->limit, reply->element[4]);
    copy_text(out->cap, sizeof out->cap, reply->element[5]);
    out->allowed = strcmp(out->verdict, "deny") != 0;
    return str_to_i64(reply->element[6]->str, reply->element[6]->len, &out->resets_at_ms);
}

static int give_answer(struct meterline_answer *out, const struct meterline_answer *found,
                       size_t size, int result)
{
    memcpy(out, found, size < sizeof *found ? size : sizeof *found);
    out->size = size;
    return result;
}

/* "ERR meterline: …" is what the functions say of arguments that make no sense. */
static int fail_reply(const redisReply *reply)
{
    static const char OURS[] = "ERR meterline: ";
    const char *text = reply->type == REDIS_REPLY_ERROR ? reply->str : "an answer that is none";
    if (!strncmp(text, OURS, sizeof OURS - 1))
        return library_fail(METERLINE_INVALID, "%s", text + sizeof OURS - 1);
    return library_fail(METERLINE_UNAVAILABLE, "Redis: %s", text);
}

static int ask_redis(struct meterline *m, const char *key, struct command *c,
                     struct meterline_answer *out)
{
    struct err e;
    size_t size = out->size;
    struct meterline_answer found = {.allowed = !m->quota_closed, .verdict = "unknown"};
    redisReply *reply = quota_pool_call(m->quotas, key, c->count, c->argv, c->lengths, &e);
    int result = METERLINE_OK;
    if (!reply)
        result = library_fail(METERLINE_UNAVAILABLE, "%s", e.text);
    else if (take_answer(reply, &found))
        result = fail_reply(reply);
    if (reply)
        freeReplyObject(reply);
    return give_answer(out, &found, size, result);
}

int meterline_check(struct meterline *m, const struct meterline_ask *given,
                    struct meterline_answer *out)
{
    struct meterline_ask ask;
    struct command c = {.count = 0};
    if (library_is_parents(m))
        return library_refuse_parents();
    library_take_struct(&ask, sizeof ask, given, given->size);
    if (check_ask(&ask))
        return METERLINE_INVALID;
    char *key = xasprintf(QUOTA_KEY_PREFIX "%s}", ask.tenant);
    add(&c, "FCALL");
    add(&c, "meterline_check");
    add(&c, "1");
    add(&c, key);
    add(&c, ask.metric);
    add(&c, ask.quantity ? ask.quantity : "1");
    int result = ask_redis(m, key, &c, out);
    free(key);
    return result;
}

int meterline_reserve(struct meterline *m, const struct meterline_ask *given,
                      struct meterline_answer *out)
{
    struct meterline_ask ask;
    struct command c = {.count = 0};
    char ttl[NUMBER_SIZE];
    if (library_is_parents(m))
        return library_refuse_parents();
    library_take_struct(&ask, sizeof ask, given, given->size);
    if (check_ask(&ask))
        return METERLINE_INVALID;
    if (!has_id(&ask))
        return refuse_without_id();
    char *key = xasprintf(QUOTA_KEY_PREFIX "%s}", ask.tenant);
    snprintf(ttl, sizeof ttl, "%" PRId64, ask.ttl_ms ? ask.ttl_ms : TTL_DEFAULT_MS);
    add(&c, "FCALL");
    add(&c, "meterline_reserve");
    add(&c, "1");
    add(&c, key);
    add(&c, ask.metric);
    add(&c, ask.quantity ? ask.quantity : "1");
    add(&c, ask.id);
    add(&c, ttl);
    int result = ask_redis(m, key, &c, out);
    free(key);
    return result;
}

/* Settling. */

/* The event at once, for its entry: malloc'd; NULL: Redis does not take it now. */
static char *add_event(struct meterline *m, const struct event_line *line, int64_t now_ms)
{
    struct event_arguments a;
    struct err e;
    char ts[NUMBER_SIZE];
    struct slice tenant = line->known[EVENT_TENANT];
    int64_t shards = m->outlet->config.base.stream_shards;
    const char *key =
        m->outlet->keys[shards > 1 ? str_crc16(tenant.data, tenant.length) % shards : 0];
    snprintf(ts, sizeof ts, "%" PRId64, now_ms);
    event_line_arguments(line, key, ts, &a);
    redisReply *reply = quota_pool_call(m->quotas, key, a.count, a.argv, a.lengths, &e);
    char *entry = reply && reply->type == REDIS_REPLY_STRING ? xstrdup(reply->str) : NULL;
    if (reply)
        freeReplyObject(reply);
    return entry;
}

static int settle(struct meterline *m, const struct meterline_ask *ask, const char *entry,
                  const char *quantity)
{
    struct command c = {.count = 0};
    struct err e;
    char *key = xasprintf(QUOTA_KEY_PREFIX "%s}", ask->tenant);
    add(&c, "FCALL");
    add(&c, "meterline_settle");
    add(&c, "1");
    add(&c, key);
    add(&c, ask->metric);
    add(&c, ask->id);
    add(&c, entry);
    if (quantity)
        add(&c, quantity);
    redisReply *reply = quota_pool_call(m->quotas, key, c.count, c.argv, c.lengths, &e);
    int result = METERLINE_OK;
    if (!reply)
        result = library_fail(METERLINE_UNAVAILABLE, "%s", e.text);
    else if (reply->type != REDIS_REPLY_INTEGER)
        result = fail_reply(reply);
    if (reply)
        freeReplyObject(reply);
    free(key);
    return result;
}

/* The event is taken whatever becomes of the reservation, which ends by its time at the latest. */
static int emit_and_settle(struct meterline *m, const struct meterline_ask *ask,
                           const struct meterline_event *given)
{
    struct meterline_event event;
    struct event_line line;
    char ts[NUMBER_SIZE];
    int64_t now_ms = clock_unix_ms();
    library_take_struct(&event, sizeof event, given, given->size);
    event.tenant = event.tenant ? event.tenant : ask->tenant;
    event.metric = event.metric ? event.metric : ask->metric;
    event.id = event.id ? event.id : ask->id;
    if (strcmp(event.tenant, ask->tenant) != 0)
        return library_fail(METERLINE_INVALID, "tenant: the reservation is another tenant's");
    if (library_parse(&line, &event, now_ms, ts))
        return library_fail(METERLINE_INVALID, "%s", line.why);
    char *entry = add_event(m, &line, now_ms);
    if (!entry)
        return library_put(m, &line, now_ms);
    (void)settle(m, ask, entry, event.quantity);
    free(entry);
    return METERLINE_OK;
}

int meterline_settle(struct meterline *m, const struct meterline_ask *given,
                     const struct meterline_event *event)
{
    struct meterline_ask ask;
    if (library_is_parents(m))
        return library_refuse_parents();
    library_take_struct(&ask, sizeof ask, given, given->size);
    if (check_ask(&ask))
        return METERLINE_INVALID;
    if (!has_id(&ask))
        return refuse_without_id();
    return event ? emit_and_settle(m, &ask, event) : settle(m, &ask, "", NULL);
}
