/* Retiring a stream that belongs to an earlier number of shards: once it is counted to its end and
 * nobody writes to it any more, its key is deleted and its epoch ends. See fleet.h. */
#ifndef METERLINE_RETIRE_H
#define METERLINE_RETIRE_H

#include "aggregator/ledger/ledger.h"
#include "common/redis/redis.h"

#include <stdbool.h>
#include <stdint.h>

struct retire_events {
    void (*retired)(void *owner);
    /* Something came in meanwhile: nothing was deleted. */
    void (*not_at_rest)(void *owner);
    void (*failed)(void *owner, const char *step, const struct err *error);
    /* After retire_stop: the ledger was still at work, and is free now. */
    void (*late)(void *owner);
    void *owner;
};

struct retire {
    struct ledger *ledger; /* borrowed, as are … */
    struct redis *redis;   /* … this */
    const char *stream;    /* … and this */
    struct retire_events events;
    bool begun;          /* nothing is read any more */
    uint64_t generation; /* rises with every stop */
};

/* Nothing came for so long that it may be deleted. since_ms: monotonic; when it was opened. */
bool retire_is_due(const struct position *p, int64_t since_ms, int64_t keep_ms);
/* One of the events but late follows, from the loop; or retire_stop, or the loss of a connection.
 * The stream reader is to be stopped right after, and the ledger is not at work. */
void retire_run(struct retire *r);
void retire_stop(struct retire *r);

#endif
