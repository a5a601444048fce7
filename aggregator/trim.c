/* After COMMIT, and only then: the group shows the position, and what is committed leaves the
 * stream. A crash before this reads the entries again from last_id, which the transaction moved
 * past them. */
#include "aggregator/aggregator.h"
#include "common/clock.h"
#include "common/contract.h"

#include <stdlib.h>

enum { DEADLINE_MS = 10000 };

struct trim {
    struct shard *shard;
    uint64_t generation;
    struct entry_id last; /* the position that it stands for, … */
    uint64_t accounted;   /* … its base + processed + lost */
    bool all;             /* everything committed was trimmed: what is left waits */
};

static void take_queued(void *owner, const struct err *error, void *reply)
{
    (void)owner;
    (void)error; /* EXEC tells. */
    (void)reply;
}

/* The answers of EXEC, in order. */
enum { GROUPS, SETID, XTRIM, STREAM, ANSWERS };

/* Returns 0, or -1 if there is an answer that tells that the group or the stream is gone: Redis
 * lost data while we were connected. */
static int check_answers(const redisReply *r, struct err *e)
{
    if (r->type != REDIS_REPLY_ARRAY || r->elements != ANSWERS)
        return err_set(e, ERR_REFUSED, "EXEC gave other answers than asked for");
    for (int i = 0; i < ANSWERS; i++)
        if (r->element[i]->type == REDIS_REPLY_ERROR)
            return err_set(e, ERR_REFUSED, "%s", r->element[i]->str);
    return 0;
}

/* Before we set it, the group stood after our position: another one has gone on from there. */
static bool is_passed(const struct trim *t, const redisReply *groups)
{
    struct history h = {.group_exists = false};

    history_take_groups(&h, groups);
    return h.group_exists && entry_id_compare(h.group, t->last) > 0;
}

static void take_trimmed(void *owner, const struct err *error, void *reply)
{
    struct trim t = *(struct trim *)owner;
    struct shard *s = t.shard;
    const redisReply *r = reply;
    struct history h = {.length = 0};
    struct err e;

    free(owner);
    if (t.generation != s->generation)
        return;
    if (error == NULL && check_answers(r, &e) != 0)
        error = &e;
    if (error != NULL) {
        shard_fail(s, "trim", error);
        return;
    }
    if (is_passed(&t, r->element[GROUPS]))
        shard_on_lease_lost(s);
    else if (history_take_stream(&h, r->element[STREAM]) == 0)
        gauges_take_stream(s, &h, t.accounted, t.all);
}

/* Everything below the returned id may go. */
static struct entry_id trim_below(const struct shard *s, struct entry_id last, bool *all)
{
    struct entry_id below = entry_id_next(last);
    int64_t keep_ms = s->process->config->stream_keep_s * 1000;
    struct entry_id keep = {.ms = (uint64_t)(clock_unix_ms() - keep_ms), .seq = 0};

    *all = keep_ms == 0 || entry_id_compare(keep, below) >= 0;
    return *all ? below : keep;
}

void trim_run(struct shard *s)
{
    const struct position *p = &s->ledger.position;
    struct trim *t = xcalloc(1, sizeof *t);
    struct entry_id last;
    char below[ENTRY_ID_TEXT_SIZE];

    if (entry_id_parse(p->last_id, &last) != 0)
        abort();
    *t = (struct trim){.shard = s,
                       .generation = s->generation,
                       .last = last,
                       .accounted = p->base + (uint64_t)(p->processed + p->lost)};
    entry_id_format(trim_below(s, last, &t->all), below);
    redis_commandf(s->process->commands, DEADLINE_MS, take_queued, NULL, "MULTI");
    redis_commandf(s->process->commands, DEADLINE_MS, take_queued, NULL, "XINFO GROUPS %s",
                   s->stream);
    redis_commandf(s->process->commands, DEADLINE_MS, take_queued, NULL,
                   "XGROUP SETID %s %s %s ENTRIESREAD %llu", s->stream, STREAM_GROUP, p->last_id,
                   (unsigned long long)t->accounted);
    redis_commandf(s->process->commands, DEADLINE_MS, take_queued, NULL, "XTRIM %s MINID %s",
                   s->stream, below);
    redis_commandf(s->process->commands, DEADLINE_MS, take_queued, NULL, "XINFO STREAM %s",
                   s->stream);
    redis_commandf(s->process->commands, DEADLINE_MS, take_trimmed, t, "EXEC");
}
