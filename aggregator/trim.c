/* After COMMIT, and only then: the group shows the position, and what is committed leaves the stream.
 * A crash before this reads the entries again from last_id, which the transaction moved past them. */
#include "aggregator/aggregator.h"
#include "common/clock.h"
#include "common/contract.h"

#include <stdlib.h>

enum { DEADLINE_MS = 10000 };

struct trim {
    struct aggregator *aggregator;
    uint64_t generation;
    uint64_t accounted; /* base + processed + lost of the position that it stands for */
    bool all;           /* everything committed was trimmed: what is left waits */
};

static void take_queued(void *owner, const struct err *error, void *reply)
{
    (void)owner;
    (void)error; /* EXEC tells. */
    (void)reply;
}

/* The group or the stream is gone: Redis lost data while we were connected. */
static bool is_failed(const redisReply *r)
{
    return r->type == REDIS_REPLY_ERROR;
}

static void take_trimmed(void *owner, const struct err *error, void *reply)
{
    struct trim t = *(struct trim *)owner;
    struct aggregator *a = t.aggregator;
    const redisReply *r = reply;
    struct history h = {.length = 0};
    struct err e;

    free(owner);
    if (t.generation != a->generation)
        return;
    if (error == NULL && (r->type != REDIS_REPLY_ARRAY || r->elements != 3)) {
        err_set(&e, ERR_REFUSED, "EXEC gave no three answers");
        error = &e;
    }
    if (error == NULL && (is_failed(r->element[0]) || is_failed(r->element[1]))) {
        err_set(&e, ERR_REFUSED, "%s", r->element[is_failed(r->element[0]) ? 0 : 1]->str);
        error = &e;
    }
    if (error != NULL) {
        shard_fail(a, "trim", error);
        return;
    }
    if (history_take_stream(&h, r->element[2]) == 0)
        gauges_take_stream(a, &h, t.accounted, t.all);
}

/* Everything below the returned id may go. */
static struct entry_id trim_below(const struct aggregator *a, struct entry_id last, bool *all)
{
    struct entry_id below = entry_id_next(last);
    int64_t keep_ms = a->config->stream_keep_s * 1000;
    struct entry_id keep = {.ms = (uint64_t)(clock_unix_ms() - keep_ms), .seq = 0};

    *all = keep_ms == 0 || entry_id_compare(keep, below) >= 0;
    return *all ? below : keep;
}

void trim_run(struct aggregator *a)
{
    const struct position *p = &a->ledger.position;
    struct trim *t = xcalloc(1, sizeof *t);
    struct entry_id last;
    char below[ENTRY_ID_TEXT_SIZE];

    if (entry_id_parse(p->last_id, &last) != 0)
        abort();
    *t = (struct trim){.aggregator = a,
                       .generation = a->generation,
                       .accounted = p->base + (uint64_t)(p->processed + p->lost)};
    entry_id_format(trim_below(a, last, &t->all), below);
    redis_commandf(a->commands, DEADLINE_MS, take_queued, NULL, "MULTI");
    redis_commandf(a->commands, DEADLINE_MS, take_queued, NULL,
                   "XGROUP SETID %s %s %s ENTRIESREAD %llu", a->stream, STREAM_GROUP, p->last_id,
                   (unsigned long long)t->accounted);
    redis_commandf(a->commands, DEADLINE_MS, take_queued, NULL, "XTRIM %s MINID %s", a->stream,
                   below);
    redis_commandf(a->commands, DEADLINE_MS, take_queued, NULL, "XINFO STREAM %s", a->stream);
    redis_commandf(a->commands, DEADLINE_MS, take_trimmed, t, "EXEC");
}
