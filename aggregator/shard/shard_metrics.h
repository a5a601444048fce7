/* The metrics of a shard: outcomes, lag, the balance, the deduplication table. */
#ifndef METERLINE_SHARD_METRICS_H
#define METERLINE_SHARD_METRICS_H

#include "aggregator/batch/batch.h"
#include "aggregator/dedupe/dedupe.h"

#include <stdint.h>

/* All outcomes, at 0: only what stood at 0 before is seen to rise. */
void shard_metrics_init(void);
/* A batch that was committed; last_id: the position's; read_us: since its first entry was read. */
void shard_metrics_count_batch(const char *stream, const struct batch *b, const char *last_id,
                               int64_t commit_us, int64_t read_us);
/* label: stream="…"; queue_label: queue="…". oldest_ms: age of the oldest entry that waits. */
void shard_metrics_set_lag(const char *label, const char *queue_label, int64_t entries,
                           int64_t oldest_ms);
void shard_metrics_set_unaccounted(const char *label, int64_t entries);
void shard_metrics_set_dedupe(const char *label, const struct dedupe *d);

#endif
