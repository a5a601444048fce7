#include "aggregator/shard/retire.h"

#include "aggregator/shard/pending_reply.h"
#include "common/clock.h"

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

static void take_epoch(void *owner, const struct err *error)
{
    struct retire *r = owner;
    if (!r->begun)
        r->events.late(r->events.owner);
    else if (error)
        r->events.failed(r->events.owner, "end stream", error);
    else
        r->events.retired(r->events.owner);
}

static void take_deleted(void *owner, const struct err *error, void *reply)
{
    struct retire *r = pending_reply_owner(owner);
    const redisReply *answer = reply;
    struct epoch_change change = {.reason = "resharded"};
    if (!r || !pg_is_ready(r->ledger->pg))
        return;
    struct entry_id last = entry_id_of(r->ledger->position.last_id);
    struct entry_id before = entry_id_of(r->ledger->position.repeats_until);
    /* Redis may lose that the stream was deleted: up to there what comes back was read. */
    change.repeats_until = entry_id_compare(last, before) > 0 ? last : before;
    if (error)
        r->events.failed(r->events.owner, "delete stream", error);
    else if (answer->type != REDIS_REPLY_INTEGER || answer->integer != 1 || r->ledger->done)
        r->events.not_at_rest(r->events.owner);
    else
        ledger_open_epoch(r->ledger, &change, take_epoch, r);
}

void retire_run(struct retire *r)
{
    r->begun = true;
    redis_commandf(r->redis, DEADLINE_MS, take_deleted, pending_reply_new(r, &r->generation),
                   "EVAL %s 1 %s %s", END, r->stream, r->ledger->position.last_id);
}

void retire_stop(struct retire *r)
{
    r->begun = false;
    r->generation++;
}

/* One that came back after its end has a position of before all that it has: it is given time to be
 * read. */
bool retire_is_due(const struct position *p, int64_t since_ms, int64_t keep_ms)
{
    return clock_monotonic_ms() - since_ms > REST_MS &&
           clock_unix_ms() - (int64_t)entry_id_of(p->last_id).ms > REST_MS + keep_ms;
}
