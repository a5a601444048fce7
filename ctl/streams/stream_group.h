/* The group `aggregator` of a stream, by a blocking connection: where it stands, and whose it is.
 */
#ifndef METERLINE_CTL_STREAM_GROUP_H
#define METERLINE_CTL_STREAM_GROUP_H

#include "common/redis/epoch_mark.h"
#include "ctl/streams/stream_info.h"

struct stream_group {
    bool exists;                 /* false: all else is 0 or "" */
    char last_id[ENTRY_ID_SIZE]; /* last delivered */
    int64_t read;                /* entries-added there; -1: Redis does not know */
    bool marked;                 /* an aggregator's mark is in it: … */
    struct epoch_mark mark;      /* … this */
};

/* Returns 0 or -1 with e. A stream that is not there has no group. */
int stream_group_read(redisContext *redis, const char *stream, struct stream_group *out,
                      struct err *e);

/* In one step: the group is to stand at last_id with read entries, with the mark `ours` instead of
 * `theirs`. Refused (ERR_REFUSED, nothing was done) if it stands elsewhere, has another mark, or
 * Redis' clock is past until_ms. */
int stream_group_adopt(redisContext *redis, const char *stream, const struct stream_group *seen,
                       int64_t read, const struct epoch_mark *ours, int64_t until_ms,
                       struct err *e);

#endif
