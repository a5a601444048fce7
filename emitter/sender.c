/* Events into Redis, pipelined, and sent again until they are acknowledged. */
#include "emitter/sender.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "emitter/batch.h"
#include "emitter/command.h"
#include "emitter/links.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

struct sender {
    struct sender_settings settings;
    struct links links;
    struct batch batches[2];
    struct batch *filling; /* one of batches */
    struct batch *flying;  /* the other one: sent, its answers not taken; may be empty */
    struct backoff backoff;
    struct log_causes lost;
    int64_t failing_ms; /* monotonic, since nothing was acknowledged; 0: all is well */
    uint64_t acknowledged;
};

struct sender *sender_new(const struct sender_settings *settings)
{
    struct sender *s = xcalloc(1, sizeof *s);

    s->settings = *settings;
    links_init(&s->links, settings->config);
    s->filling = &s->batches[0];
    s->flying = &s->batches[1];
    s->backoff = BACKOFF(50, 2000);
    return s;
}

void sender_free(struct sender *s)
{
    buf_done(&s->batches[0].bytes);
    buf_done(&s->batches[1].bytes);
    links_done(&s->links);
    free(s);
}

uint64_t sender_acknowledged(const struct sender *s)
{
    return s->acknowledged;
}

/* Errors that pass by themselves: Redis starts, has a new master, is full or cannot write its disk;
 * or the stream is on another node of the cluster now, which the next connection finds. */
static bool passes(const char *text)
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
    redisReply *reply = links_answer(&s->links, item->shard, e);
    int result = 0;

    if (!reply)
        return -1;
    if (reply->type == REDIS_REPLY_ERROR && passes(reply->str))
        result = err_set(e, ERR_REFUSED, "Redis: %s", reply->str);
    else
        settle(s, item, reply);
    freeReplyObject(reply);
    return result;
}

/* All answers to what was sent of the batch. One that passes by itself fails the batch at once: the
 * others are asked for again, which does no harm. */
static int take_answers(struct sender *s, struct batch *b, struct err *e)
{
    for (int i = 0; i < b->count; i++)
        if (!b->items[i].settled && take_answer(s, &b->items[i], e))
            return -1;
    batch_clear(b);
    return 0;
}

static void tell_unknown(struct sender *s, const struct batch *b)
{
    for (int i = 0; i < b->count; i++)
        if (!b->items[i].settled)
            s->settings.on_unknown(s->settings.owner, b->items[i].origin);
}

/* Returns -1 when it is time to give up, else 0 after a wait. */
static int wait_to_retry(struct sender *s, struct err *e)
{
    int64_t now_ms = clock_monotonic_ms();
    uint64_t held = 0;

    if (s->failing_ms == 0)
        s->failing_ms = now_ms;
    int64_t left_ms = s->failing_ms + s->settings.config->give_up_ms - now_ms;
    if (left_ms <= 0)
        return err_wrap(e, "given up after %" PRId64 " s", s->settings.config->give_up_ms / 1000);
    if (log_cause_failed(&s->lost, e->text, now_ms, &held))
        log_warn(peer_lost, LOG_STR("peer", "redis"), LOG_U64("held", held), LOG_ERR(e));
    int64_t wait_ms = (int64_t)backoff_next_ms(&s->backoff, backoff_random());
    if (wait_ms > left_ms)
        wait_ms = left_ms;
    const struct timespec pause = {wait_ms / 1000, wait_ms % 1000 * 1000000};
    nanosleep(&pause, NULL);
    return 0;
}

/* Both batches, one after the other. The connections are new: nothing is on its way. */
static int deliver(struct sender *s, struct err *e)
{
    links_drop(&s->links);
    if (batch_send(s->flying, &s->links, e) || take_answers(s, s->flying, e) ||
        batch_send(s->filling, &s->links, e))
        return -1;
    return take_answers(s, s->filling, e);
}

/* e: what has failed. Until all is delivered, or it is time to give up. */
static int recover(struct sender *s, struct err *e)
{
    do {
        if (wait_to_retry(s, e)) {
            tell_unknown(s, s->flying);
            tell_unknown(s, s->filling);
            return -1;
        }
    } while (deliver(s, e));
    backoff_reset(&s->backoff);
    if (log_cause_recovered(&s->lost))
        log_info(peer_back, LOG_STR("peer", "redis"));
    return 0;
}

/* Send the batch that was filled, take the answers to the one before, and change places. */
static int turn(struct sender *s, struct err *e)
{
    struct batch *sent = s->filling;

    if (batch_send(sent, &s->links, e) || take_answers(s, s->flying, e))
        return recover(s, e);
    s->filling = s->flying;
    s->flying = sent;
    return 0;
}

int sender_flush(struct sender *s, struct err *e)
{
    if (s->filling->count > 0 && turn(s, e))
        return -1;
    if (s->flying->count > 0 && take_answers(s, s->flying, e))
        return recover(s, e);
    return 0;
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
    command_add(&s->filling->bytes, s->links.keys[shard], event, own_id, own_ts);
    batch_note(s->filling, origin, shard, offset);
    return s->filling->count == BATCH_MAX ? turn(s, e) : 0;
}
