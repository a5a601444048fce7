#include "emitter/sender.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "emitter/connections.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH_MAX = 1000, PAUSE_STEP_MS = 50 };

struct batch_item {
    struct sender_origin origin;
    size_t offset; /* of its command in the batch's bytes */
    size_t length;
    int64_t shard;
    bool settled; /* acknowledged, or refused for good */
};

struct batch {
    struct batch_item items[BATCH_MAX];
    int count;
    struct buf bytes; /* the commands, one after the other */
};

struct sender {
    struct sender_settings settings;
    struct connections connections;
    struct batch batches[2];
    struct batch *filling; /* one of batches */
    struct batch
        *in_flight; /* the other one: sent, but its answers are still to come; may be empty */
    struct backoff backoff;
    int64_t failing_ms; /* monotonic, since when nothing was acknowledged; 0: nothing fails */
    uint64_t acknowledged;
};

static void batch_add(struct batch *b, struct sender_origin origin, int64_t shard, size_t offset)
{
    assert(b->count < BATCH_MAX);
    b->items[b->count++] = (struct batch_item){
        .origin = origin, .shard = shard, .offset = offset, .length = b->bytes.length - offset};
}

/* With one stream and nothing settled yet, the whole batch is one write. */
static bool is_one_piece(const struct batch *b, const struct connections *connections)
{
    for (int i = 0; i < b->count; i++)
        if (b->items[i].settled)
            return false;
    return connections->n == 1 && connections->list[0].redis && !connections->list[0].asking;
}

static int buffer_batch(const struct batch *b, struct connections *connections, struct err *e)
{
    if (is_one_piece(b, connections))
        return connections_add(connections, 0, b->bytes.data, b->bytes.length, e);
    for (int i = 0; i < b->count; i++) {
        const struct batch_item *item = &b->items[i];
        if (!item->settled && connections_add(connections, item->shard,
                                              b->bytes.data + item->offset, item->length, e))
            return -1;
    }
    return 0;
}

static int batch_send(const struct batch *b, struct connections *connections, struct err *e)
{
    if (b->count == 0)
        return 0;
    return buffer_batch(b, connections, e) ? -1 : connections_write(connections, e);
}

struct sender *sender_new(const struct sender_settings *settings)
{
    struct sender *s = xcalloc(1, sizeof *s);
    s->settings = *settings;
    connections_init(&s->connections, settings->config, settings->files);
    s->filling = &s->batches[0];
    s->in_flight = &s->batches[1];
    s->backoff = BACKOFF(50, 2000);
    return s;
}

void sender_free(struct sender *s)
{
    buf_done(&s->batches[0].bytes);
    buf_done(&s->batches[1].bytes);
    connections_done(&s->connections);
    free(s);
}

uint64_t sender_acknowledged(const struct sender *s)
{
    return s->acknowledged;
}

/* Errors that pass: Redis is starting, has a new master, is full or cannot write to its disk; or
 * the stream is on another node of the cluster now, which the next connection finds. */
static bool is_temporary(const char *text)
{
    static const char *const CODES[] = {"LOADING ",    "READONLY ",    "MASTERDOWN ", "OOM ",
                                        "BUSY ",       "CLUSTERDOWN ", "TRYAGAIN ",   "MISCONF ",
                                        "NOREPLICAS ", "MOVED ",       "ASK "};
    for (size_t i = 0; i < sizeof CODES / sizeof CODES[0]; i++)
        if (strncmp(text, CODES[i], strlen(CODES[i])) == 0)
            return true;
    return false;
}

static void settle(struct sender *s, struct batch_item *item, const redisReply *reply)
{
    item->settled = true;
    s->failing_ms = 0;
    if (reply->type == REDIS_REPLY_ERROR)
        s->settings.on_refused(s->settings.owner, item->origin, reply->str);
    else
        s->acknowledged++;
}

static int take_answer(struct sender *s, struct batch_item *item, struct err *e)
{
    redisReply *reply = connections_answer(&s->connections, item->shard, e);
    int result = 0;
    if (!reply)
        return -1;
    if (reply->type == REDIS_REPLY_ERROR && (s->settings.keeps_refused || is_temporary(reply->str)))
        result = err_set(e, ERR_REFUSED, "Redis: %s", reply->str);
    else
        settle(s, item, reply);
    freeReplyObject(reply);
    return result;
}

/* All answers to a batch. A temporary error fails the batch at once: its other events are sent
 * again, which does no harm. */
static int take_answers(struct sender *s, struct batch *b, struct err *e)
{
    for (int i = 0; i < b->count; i++)
        if (!b->items[i].settled && take_answer(s, &b->items[i], e))
            return -1;
    b->count = 0;
    buf_clear(&b->bytes);
    return 0;
}

static void report_unknown(struct sender *s, const struct batch *b)
{
    for (int i = 0; i < b->count; i++)
        if (!b->items[i].settled)
            s->settings.on_unknown(s->settings.owner, b->items[i].origin);
}

static bool is_over(const struct sender *s)
{
    return s->settings.is_over && s->settings.is_over(s->settings.owner);
}

static void pause_ms(const struct sender *s, int64_t wait_ms)
{
    int64_t until_ms = clock_monotonic_ms() + wait_ms;
    for (int64_t left_ms = wait_ms; left_ms > 0 && !is_over(s);
         left_ms = until_ms - clock_monotonic_ms()) {
        int64_t step_ms = left_ms < PAUSE_STEP_MS ? left_ms : PAUSE_STEP_MS;
        nanosleep(&(struct timespec){0, step_ms * 1000000}, NULL);
    }
}

/* Returns 0 after a wait, or -1 when it is time to give up. */
static int wait_to_retry(struct sender *s, struct err *e)
{
    int64_t now_ms = clock_monotonic_ms();
    if (s->failing_ms == 0)
        s->failing_ms = now_ms;
    int64_t left_ms = s->failing_ms + s->settings.config->give_up_ms - now_ms;
    if (left_ms <= 0 || is_over(s))
        return err_wrap(e, "gave up after %" PRId64 " s", s->settings.config->give_up_ms / 1000);
    s->settings.on_lost(s->settings.owner, e);
    int64_t wait_ms = (int64_t)backoff_next_ms(&s->backoff, backoff_random());
    if (wait_ms > left_ms)
        wait_ms = left_ms;
    pause_ms(s, wait_ms);
    return 0;
}

/* Both batches, one after the other, on new connections. */
static int deliver(struct sender *s, struct err *e)
{
    connections_drop(&s->connections);
    if (batch_send(s->in_flight, &s->connections, e) || take_answers(s, s->in_flight, e) ||
        batch_send(s->filling, &s->connections, e))
        return -1;
    return take_answers(s, s->filling, e);
}

/* Repeats until all is delivered, or it is time to give up. e: what has failed. */
static int recover(struct sender *s, struct err *e)
{
    do {
        if (wait_to_retry(s, e)) {
            report_unknown(s, s->in_flight);
            report_unknown(s, s->filling);
            return -1;
        }
    } while (deliver(s, e));
    backoff_reset(&s->backoff);
    s->settings.on_back(s->settings.owner);
    return 0;
}

/* Sends the filled batch, takes the answers to the previous one, and swaps them. */
static int send_filled(struct sender *s, struct err *e)
{
    struct batch *sent = s->filling;
    if (batch_send(sent, &s->connections, e) || take_answers(s, s->in_flight, e))
        return recover(s, e);
    s->filling = s->in_flight;
    s->in_flight = sent;
    return 0;
}

int sender_flush(struct sender *s, struct err *e)
{
    if (s->filling->count > 0 && send_filled(s, e))
        return -1;
    if (s->in_flight->count > 0 && take_answers(s, s->in_flight, e))
        return recover(s, e);
    return 0;
}

static int added(struct sender *s, struct sender_origin origin, int64_t shard, size_t offset,
                 struct err *e)
{
    batch_add(s->filling, origin, shard, offset);
    return s->filling->count == BATCH_MAX ? send_filled(s, e) : 0;
}

int sender_add_command(struct sender *s, int64_t shard, const char *command, size_t length,
                       struct sender_origin origin, struct err *e)
{
    size_t offset = s->filling->bytes.length;
    buf_add(&s->filling->bytes, command, length);
    return added(s, origin, shard, offset, e);
}

int sender_add(struct sender *s, const struct event_line *event, struct sender_origin origin,
               int64_t now_ms, struct err *e)
{
    struct slice tenant = event->known[EVENT_TENANT];
    uint16_t crc =
        s->settings.config->base.stream_shards > 1 ? str_crc16(tenant.data, tenant.length) : 0;
    size_t offset = s->filling->bytes.length;
    char own_id[UUID_TEXT_SIZE];
    char own_ts[24];
    if (!event->given[EVENT_ID])
        uuid_v7(now_ms, own_id);
    snprintf(own_ts, sizeof own_ts, "%" PRId64, now_ms);
    int64_t shard = crc % s->settings.config->base.stream_shards;
    event_line_add_command(event, s->connections.keys[shard], own_id, own_ts, &s->filling->bytes);
    return added(s, origin, shard, offset, e);
}
