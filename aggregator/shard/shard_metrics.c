#include "aggregator/shard/shard_metrics.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/metric_table.h"
#include "common/str.h"

#include <stdlib.h>
#include <string.h>

/* When an event of each of the catalog's metrics was last counted, by this process. */
static struct last_event {
    char *metric;  /* owned */
    int64_t at_ms; /* monotonic */
} * last_events;
static int last_events_count;

static struct last_event *last_event_of(const char *metric)
{
    int i = 0;
    while (i < last_events_count && strcmp(last_events[i].metric, metric) != 0)
        i++;
    if (i == last_events_count) {
        last_events = xrealloc(last_events, (size_t)(i + 1) * sizeof *last_events);
        last_events[last_events_count++] =
            (struct last_event){.metric = xstrdup(metric), .at_ms = clock_monotonic_ms()};
    }
    return &last_events[i];
}

/* One that was retired is silent for good. */
static void forget_retired(const struct catalog *c)
{
    for (int i = last_events_count - 1; i >= 0; i--) {
        struct last_event *e = &last_events[i];
        if (catalog_find(c, e->metric, strlen(e->metric)) >= 0)
            continue;
        char *label = xasprintf("metric=\"%s\"", e->metric);
        metrics_forget(label);
        free(label);
        free(e->metric);
        *e = last_events[--last_events_count];
    }
}

void shard_metrics_set_silence(const struct catalog *c)
{
    int64_t now_ms = clock_monotonic_ms();
    forget_retired(c);
    for (int i = 0; i < c->count; i++) {
        int64_t at_ms = last_event_of(c->metrics[i].name)->at_ms;
        metric_set(metric_with(METRIC_OF_LAST_EVENT, c->metrics[i].name), now_ms - at_ms);
    }
}

void shard_metrics_done(void)
{
    for (int i = 0; i < last_events_count; i++)
        free(last_events[i].metric);
    free(last_events);
    last_events = NULL;
    last_events_count = 0;
}

/* A store a row, and a look-up a metric. */
static void note_metrics(const struct batch *b)
{
    int64_t now_ms = clock_monotonic_ms();
    bool *seen = xcalloc((size_t)b->catalog->count + 1, sizeof *seen);
    for (uint32_t i = 0; i < b->sums.count; i++)
        seen[b->sums.rows[i].metric] = true;
    for (int i = 0; i < b->catalog->count; i++)
        if (seen[i])
            last_event_of(b->catalog->metrics[i].name)->at_ms = now_ms;
    free(seen);
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
                               int64_t commit_us)
{
    metric_add(metric_with(METRIC_OF_EVENTS, "counted"), b->counted);
    metric_add(metric_with(METRIC_OF_EVENTS, "duplicate"), b->duplicates);
    metric_add(metric_with(METRIC_OF_EVENTS, "rejected"), b->rejected);
    metric_add(metric_with(METRIC_OF_EVENTS, "conflict"), b->conflicts);
    count_reasons(b);
    note_metrics(b);
    metric_observe(metric_of(METRIC_OF_COMMIT, ""), commit_us);
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
