/* The shards of a process, and what is asked of all of them. */
#ifndef METERLINE_SHARD_LIST_H
#define METERLINE_SHARD_LIST_H

#include "aggregator/shard/shard.h"
#include "common/pg/pg_array.h"

#include <stdbool.h>

struct shard_list {
    struct shard **shards; /* the array is owned, the shards are not */
    int count;
};

void shard_list_add(struct shard_list *l, struct shard *s);
void shard_list_remove(struct shard_list *l, const struct shard *s);
struct shard *shard_list_find(const struct shard_list *l, const char *stream);

/* A stream's lease is ours. */
bool shard_list_owns_one(const struct shard_list *l);
/* … and it is known that the stream is this ledger's. */
bool shard_list_counts_one(const struct shard_list *l);
/* One has not been read up to an hour ago, or it is not known whether it was. The database sees
 * what waits with the first batch only. */
bool shard_list_is_behind(const struct shard_list *l);
/* --once: nothing is left to do for any. */
bool shard_list_is_finished(const struct shard_list *l);

/* The streams whose leases a heartbeat is to keep, and their windows in s, NULL while it is not
 * known; it is remembered which they were. */
void shard_list_note_renewed(struct shard_list *l, struct pg_array *streams,
                             struct pg_array *windows_s);
/* A heartbeat kept that lease, and found so many batches: with fewer than we know of, the ledger
 * went back in time behind a pooler that kept the connection. */
void shard_list_check_renewed(struct shard_list *l, const char *stream, int64_t batches);

/* Connected, all of them. */
bool shard_list_has_pg(const struct shard_list *l);
bool shard_list_has_redis(const struct shard_list *l);
/* Why they must not use their Redis, a line each. */
void shard_list_add_why(const struct shard_list *l, struct buf *why);
void shard_list_scrape(struct shard_list *l);

#endif
