/* The Redis side of `meterctl stream reset`: the stream's key, made anew in one step. */
#ifndef METERLINE_CTL_STREAM_REWRITE_H
#define METERLINE_CTL_STREAM_REWRITE_H

#include "common/err.h"
#include "common/redis/epoch_mark.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

struct stream_rewrite {
    const char *stream;
    const char *last_id;           /* entries after it wait and are kept */
    const char *token;             /* of the epoch that the stream must belong to, or "" … */
    const struct epoch_mark *mark; /* … and the mark of the one that it belongs to afterwards */
    int64_t until_ms;              /* Redis' clock: later it must not be done any more */
};

struct stream_rewritten {
    int64_t waiting; /* entries that were kept */
    int64_t moved;   /* of those, that had ids in the future and got new ones */
};

/* Entries that wait stay, in their order: those whose ids are not in the future with their ids, the
 * others with ids of now. One that was done already, by its mark, is left as it is. Returns 0, or
 * -1 with e; ERR_REFUSED: nothing was done. */
int stream_rewrite(redisContext *redis, const struct stream_rewrite *what,
                   struct stream_rewritten *out, struct err *e);

/* Redis' clock, Unix ms. Returns 0 or -1 with e. */
int stream_clock_ms(redisContext *redis, int64_t *out, struct err *e);

#endif
