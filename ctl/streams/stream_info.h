/* A stream: its name, what it holds, and where the group `aggregator` stands in it. By blocking
 * connections. */
#ifndef METERLINE_CTL_STREAM_INFO_H
#define METERLINE_CTL_STREAM_INFO_H

#include "common/err.h"
#include "common/redis/epoch_mark.h"

#include <hiredis/hiredis.h>
#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

enum { STREAM_NAME_SIZE = 64, ENTRY_ID_SIZE = 48 };

/* The key of shard i of so many. */
void stream_name(int64_t shards, int64_t i, char out[STREAM_NAME_SIZE]);

/* Over how many streams the tenants are spread. setting: METERLINE_STREAM_SHARDS, which goes before
 * what the database has; 0: it is not set. Returns 0 or -1 with e. */
int stream_shards_read(PGconn *conn, int64_t setting, int64_t *shards, struct err *e);

struct stream_info {
    bool exists;               /* false: no such key; all else is 0 or "" then */
    int64_t added;             /* entries-added: ever, whether they are still there or not */
    int64_t length;            /* entries that are there */
    char first[ENTRY_ID_SIZE]; /* the oldest entry's id, "" where there is none */
    char last[ENTRY_ID_SIZE];  /* the newest id ever given */
};

/* XINFO STREAM (Redis 7.0 or later). Returns 0 or -1 with e. */
int stream_info_read(redisContext *redis, const char *stream, struct stream_info *out,
                     struct err *e);

/* How many entries of the stream, as info saw it, come after the id. Counted in the stream itself;
 * what was added since info was read does not count. Returns 0 or -1 with e. */
int stream_count_after(redisContext *redis, const char *stream, const struct stream_info *info,
                       const char *id, int64_t *out, struct err *e);

/* The time in the id of the first entry after that id, Unix ms; 0 where there is none. */
int stream_oldest_after(redisContext *redis, const char *stream, const char *id, int64_t *unix_ms,
                        struct err *e);

/* The lag of the group `aggregator` as standard exporters see it; -1 where Redis does not know it.
 */
int stream_group_lag(redisContext *redis, const char *stream, int64_t *lag, struct err *e);

struct stream_group {
    bool exists;                 /* false: all else is 0 or "" */
    char last_id[ENTRY_ID_SIZE]; /* last delivered */
    int64_t read;                /* entries-added there; -1: Redis does not know */
    bool marked;                 /* an aggregator's mark is in it: … */
    struct epoch_mark mark;      /* … this */
};

/* Where the group `aggregator` stands, and whose it is. A stream that is not there has no group.
 * Returns 0 or -1 with e. */
int stream_group_read(redisContext *redis, const char *stream, struct stream_group *out,
                      struct err *e);

/* -1, 0 or 1 by the order of two entry ids, "ms-seq". */
int entry_id_compare(const char *a, const char *b);

#endif
