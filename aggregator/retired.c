/* Streams of a number of shards that is not in force any more. Services may write to them for a
 * while: the oldest process looks whether they are there, and takes them on like any other stream.
 * All that comes out of them belongs elsewhere: see strays.h. One that is counted to its end and
 * rests is deleted, and its epoch ends with its balance. */
#include "aggregator/aggregator.h"
#include "common/clock.h"
#include "common/contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 5000, LOOK_EVERY_MS = 2000, REST_MS = 10000 };

struct look {
    struct aggregator *process;
    char stream[STREAM_NAME_SIZE];
};

static void take_look(void *owner, const struct err *error, void *reply)
{
    struct look look = *(struct look *)owner;
    const redisReply *r = reply;

    free(owner);
    if (error == NULL && r->type == REDIS_REPLY_INTEGER && r->integer > 0)
        spread_take_retired(look.process, look.stream);
}

static void look_at(struct aggregator *a, const char *stream)
{
    struct look *look = xcalloc(1, sizeof *look);
    size_t length;

    *look = (struct look){.process = a};
    snprintf(look->stream, sizeof look->stream, "%s", stream);
    length = strlen(look->stream);
    redis_router_command(a->cache, look->stream, length, DEADLINE_MS, take_look, look, 2,
                         (const char *[]){"EXISTS", look->stream}, (const size_t[]){6, length});
}

void retired_look(struct aggregator *a, const struct known_stream *streams, int count)
{
    int64_t now_ms = clock_monotonic_ms();

    if (now_ms < a->retired_due_ms)
        return;
    a->retired_due_ms = now_ms + LOOK_EVERY_MS;
    for (int i = 0; i < count; i++) {
        if (!streams[i].retired || !streams[i].free)
            continue;
        if (streams[i].unfolded)
            spread_take_retired(a, streams[i].name);
        else
            look_at(a, streams[i].name);
    }
}

/* Only if everything that it ever had is counted. 1: there is no such key any more. */
static const char END[] =
    "if redis.call('EXISTS', KEYS[1]) == 0 then return 1 end\n"
    "local info = redis.call('XINFO', 'STREAM', KEYS[1])\n"
    "for i = 1, #info, 2 do\n"
    "  if info[i] == 'last-generated-id' and info[i + 1] ~= ARGV[1] then return 0 end\n"
    "end\n"
    "redis.call('DEL', KEYS[1])\n"
    "return 1";

struct ending {
    struct shard *shard;
    uint64_t generation;
};

static void take_epoch(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (shard_is_stale(s, SHARD_RUNNING))
        return;
    if (error != NULL) {
        shard_fail(s, "end stream", error);
        return;
    }
    log_info("stream_retired", LOG_STR("stream", s->stream));
    if (s->process->config->once)
        aggregator_shard_finished(s, EXIT_DONE);
    else
        shard_leave(s);
}

/* Redis may lose that the stream was deleted: up to there what comes back was read. */
static struct entry_id read_until(const struct shard *s)
{
    const struct position *p = &s->ledger.position;
    struct entry_id last, before;

    if (entry_id_parse(p->last_id, &last) != 0 || entry_id_parse(p->repeats_until, &before) != 0)
        abort();
    return entry_id_compare(last, before) > 0 ? last : before;
}

static void take_deleted(struct shard *s, const struct err *error, const redisReply *r)
{
    struct epoch_change change = {.reason = "resharded", .repeats_until = read_until(s)};

    if (error != NULL)
        shard_fail(s, "delete stream", error);
    else if (r->type != REDIS_REPLY_INTEGER || r->integer != 1 || s->ledger.done != NULL)
        shard_restart(s, true); /* something came in meanwhile */
    else
        ledger_open_epoch(&s->ledger, &change, take_epoch, s);
}

static void on_deleted(void *owner, const struct err *error, void *reply)
{
    struct ending e = *(struct ending *)owner;

    free(owner);
    if (e.generation == e.shard->generation && pg_is_ready(e.shard->pg))
        take_deleted(e.shard, error, reply);
    shard_unref(e.shard);
}

void retired_end(struct shard *s)
{
    struct ending *e = xcalloc(1, sizeof *e);

    *e = (struct ending){.shard = shard_ref(s), .generation = s->generation};
    s->ending = true;
    feed_stop(&s->feed);
    redis_commandf(s->commands, DEADLINE_MS, on_deleted, e, "EVAL %s 1 %s %s", END, s->stream,
                   s->ledger.position.last_id);
}

/* One that came back after its end has a position of before all that it has: it is given time to be
 * read. */
void retired_poll(struct shard *s)
{
    int64_t keep_ms = s->process->config->stream_keep_s * 1000;
    struct entry_id last;

    if (s->number >= 0 || s->state != SHARD_RUNNING || s->ending || s->work.state != WORK_IDLE ||
        s->ledger.done != NULL)
        return;
    if (entry_id_parse(s->ledger.position.last_id, &last) != 0)
        abort();
    if (clock_monotonic_ms() - s->running_since_ms > REST_MS &&
        clock_unix_ms() - (int64_t)last.ms > REST_MS + keep_ms)
        retired_end(s);
}
