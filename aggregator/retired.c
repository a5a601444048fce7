/* A retired stream that is counted to its end and rests is deleted, and its epoch ends with its
 * balance: see retired_finder.h. */
#include "aggregator/shard.h"
#include "common/clock.h"
#include "common/stage.h"

#include <stdlib.h>

enum { DEADLINE_MS = 5000, REST_MS = 10000 };

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
    if (s->spec.config->once)
        s->spec.events.finished(s->spec.events.owner, s, EXIT_DONE);
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
    int64_t keep_ms = s->spec.config->stream_keep_s * 1000;
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
