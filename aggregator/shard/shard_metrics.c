#include "aggregator/shard/shard_metrics.h"

#include "common/log.h"
#include "common/metric_table.h"

void shard_metrics_init(void)
{
    static const char *const OUTCOMES[] = {"counted", "duplicate", "rejected", "conflict"};
    for (size_t i = 0; i < sizeof OUTCOMES / sizeof *OUTCOMES; i++)
        metric_with(METRIC_OF_EVENTS, OUTCOMES[i]);
}

/* Reasons are static text, and those of one kind mostly come together. */
static void count_reasons(const struct batch *b)
{
    for (uint32_t i = 0, first = 0; i < b->rejections_count; first = i) {
        const char *reason = b->rejections[i].reason;
        while (i < b->rejections_count && b->rejections[i].reason == reason)
            i++;
        metric_add(metric_with(METRIC_OF_REJECTED, reason), i - first);
    }
}

void shard_metrics_count_batch(const char *stream, const struct batch *b, const char *last_id,
                               int64_t commit_us, int64_t read_us)
{
    metric_add(metric_with(METRIC_OF_EVENTS, "counted"), b->counted);
    metric_add(metric_with(METRIC_OF_EVENTS, "duplicate"), b->duplicates);
    metric_add(metric_with(METRIC_OF_EVENTS, "rejected"), b->rejected);
    metric_add(metric_with(METRIC_OF_EVENTS, "conflict"), b->conflicts);
    count_reasons(b);
    metric_observe(metric_of(METRIC_OF_COMMIT, ""), commit_us);
    metric_observe(metric_of(METRIC_OF_AGGREGATION, ""), read_us);
    log_info(batch_committed, LOG_STR("stream", stream), LOG_I64("entries", b->to - b->from),
             LOG_I64("counted", b->counted), LOG_I64("duplicates", b->duplicates),
             LOG_I64("rejected", b->rejected), LOG_I64("conflicts", b->conflicts),
             LOG_U64("minute_rows", b->sums.count), LOG_I64("commit_us", commit_us),
             LOG_STR("last_id", last_id));
}

void shard_metrics_set_lag(const char *label, const char *queue_label, int64_t entries,
                           int64_t oldest_ms)
{
    metric_set(metric_of(METRIC_OF_STREAM_LAG, label), entries);
    metric_set(metric_of(METRIC_OF_OLDEST_WAITING, queue_label), oldest_ms);
}

void shard_metrics_set_unaccounted(const char *label, int64_t entries)
{
    metric_set(metric_of(METRIC_OF_UNACCOUNTED, label), entries);
}

void shard_metrics_set_dedupe(const char *label, const struct dedupe *d)
{
    metric_set(metric_of(METRIC_OF_DEDUPE_WINDOW, label), dedupe_window_ms(d));
    metric_set(metric_of(METRIC_OF_DEDUPE_KEYS, label), (int64_t)dedupe_stats(d).keys);
    metric_set(metric_of(METRIC_OF_DEDUPE_BYTES, label), (int64_t)dedupe_stats(d).used_bytes);
}
