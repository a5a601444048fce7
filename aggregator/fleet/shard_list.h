/* The shards of a process: finding one by its stream, adding and removing them, and questions about
 * all of them, such as whether one of them counts, or has entries that are an hour old. */
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

/* This process has the lease of one. */
bool shard_list_owns_one(const struct shard_list *l);
/* … and knows that the stream is this ledger's. */
bool shard_list_counts_one(const struct shard_list *l);
/* One has entries waiting that are more than an hour old, or that is not known. The database learns
 * of them with the next batch only. */
bool shard_list_is_behind(const struct shard_list *l);
/* --once: nothing is left to do for any. */
bool shard_list_is_finished(const struct shard_list *l);

/* Append the streams whose leases a heartbeat is to renew, and their windows in s, NULL while not
 * known. They are remembered for shard_list_check_renewed. */
void shard_list_note_renewed(struct shard_list *l, struct pg_array *streams,
                             struct pg_array *windows_s);
/* A heartbeat renewed that lease, and found so many batches. If they are fewer than were committed,
 * PostgreSQL went back in time behind a pooler that kept the connection. */
void shard_list_check_renewed(struct shard_list *l, const char *stream, int64_t batches);

/* Connected, all of them. */
bool shard_list_has_pg(const struct shard_list *l);
bool shard_list_has_redis(const struct shard_list *l);
/* Why they must not use their Redis, a line each. */
void shard_list_add_why(const struct shard_list *l, struct buf *why);
void shard_list_scrape(struct shard_list *l);

#endif
