/* Streams of a number of shards that is not in force any more. Services may write to them for a
 * while: the oldest process looks whether they are there, and takes them on like any other stream.
 * All that comes out of them belongs elsewhere: see misrouted.h. */
#ifndef METERLINE_RETIRED_FINDER_H
#define METERLINE_RETIRED_FINDER_H

#include "aggregator/fleet/rebalance_plan.h"
#include "common/redis/redis_router.h"

struct retired_finder {
    struct redis_router *redis; /* borrowed: closed before this is freed */
    int64_t due_ms;             /* monotonic */
    void (*found)(void *owner, const char *stream);
    void *owner;
};

/* Is it time to look again? */
bool retired_finder_is_due(struct retired_finder *f);
/* found, now or later, if the stream is there or has sums left. */
void retired_finder_look(struct retired_finder *f, const struct known_stream *stream);

#endif
