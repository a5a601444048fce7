/* What operators watch: outcomes, lag, the balance. */
#include "aggregator/aggregator.h"
#include "common/clock.h"
#include "common/metrics.h"

#include <stdlib.h>

enum { POLL_DEADLINE_MS = 5000 };

static struct metric *outcome(const char *labels)
{
    return metric_get("meterline_events_total", labels, "Entries of the stream by their outcome",
                      METRIC_COUNTER, METRIC_PLAIN);
}

static struct metric *gauge(const char *name, const char *help, enum metric_unit unit)
{
    return metric_get(name, "", help, METRIC_GAUGE, unit);
}

void gauges_count_batch(const struct shard *s, int64_t commit_us)
{
    const struct batch *b = &s->batch;

    metric_add(outcome("outcome=\"counted\""), b->counted);
    metric_add(outcome("outcome=\"duplicate\""), b->duplicates);
    metric_add(outcome("outcome=\"rejected\""), b->rejected);
    metric_add(outcome("outcome=\"conflict\""), b->conflicts);
    metric_observe(metric_get("meterline_commit_seconds", "", "Time a batch's transaction took",
                              METRIC_HISTOGRAM, METRIC_US_AS_SECONDS),
                   commit_us);
    log_info("batch_committed", LOG_STR("stream", s->stream), LOG_I64("entries", b->to - b->from),
             LOG_I64("counted", b->counted), LOG_I64("duplicates", b->duplicates),
             LOG_I64("rejected", b->rejected), LOG_I64("conflicts", b->conflicts),
             LOG_U64("minute_rows", b->tally.count), LOG_I64("commit_us", commit_us),
             LOG_STR("last_id", s->ledger.position.last_id));
}

static void set_lag(const struct shard *s, const struct history *h, uint64_t accounted)
{
    bool keeps = s->process->config->stream_keep_s > 0;
    int64_t oldest_ms = keeps || h->length == 0 ? 0 : clock_unix_ms() - (int64_t)h->first.ms;

    metric_set(
        gauge("meterline_stream_lag_events", "Entries that wait in the stream", METRIC_PLAIN),
        keeps ? (int64_t)(h->added - accounted) : (int64_t)h->length);
    metric_set(gauge("meterline_oldest_waiting_seconds", "Age of the oldest entry that waits",
                     METRIC_MS_AS_SECONDS),
               oldest_ms > 0 ? oldest_ms : 0);
}

/* h was read in the same MULTI that trimmed: what is left of the stream then is what waits. */
void gauges_take_stream(struct shard *s, const struct history *h, uint64_t accounted, bool trimmed)
{
    if (trimmed) {
        int64_t unaccounted = (int64_t)(h->added - accounted - h->length);

        metric_set(gauge("meterline_unaccounted_events",
                         "Entries that were added and are neither accounted for nor waiting",
                         METRIC_PLAIN),
                   unaccounted);
        if (unaccounted != 0)
            log_error("balance_broken", LOG_STR("stream", s->stream),
                      LOG_I64("unaccounted", unaccounted), LOG_U64("added", h->added),
                      LOG_MSG("entries left the stream without being counted, or came back"));
    }
    set_lag(s, h, accounted);
    if (h->added > s->ledger.position.added_seen)
        s->ledger.position.added_seen = h->added;
}

void gauges_scrape(struct shard *s)
{
    if (s->dedupe == NULL)
        return;
    metric_set(gauge("meterline_dedupe_window_seconds",
                     "How far back a repeated id is recognised whatever its timestamp",
                     METRIC_MS_AS_SECONDS),
               dedupe_window_ms(s->dedupe, clock_unix_ms()));
    metric_set(gauge("meterline_dedupe_keys", "Ids in the deduplication table", METRIC_PLAIN),
               (int64_t)dedupe_stats(s->dedupe).keys);
    metric_set(gauge("meterline_dedupe_bytes", "Memory of the deduplication table", METRIC_PLAIN),
               (int64_t)dedupe_stats(s->dedupe).used_bytes);
}

struct poll {
    struct shard *shard;
    uint64_t generation;
    uint64_t accounted; /* when XINFO was sent: Redis had added at least that */
};

/* Redis has fewer entries than are in the ledger, or no stream any more: flushed while we read. */
static void lose_stream(struct shard *s, const struct poll *p)
{
    struct err e;

    if (s->state != SHARD_RUNNING || p->generation != s->generation)
        return;
    err_set(&e, ERR_REFUSED, "the stream in Redis begins anew");
    shard_fail(s, "look at stream", &e);
}

static void take_poll(void *owner, const struct err *error, void *reply)
{
    struct poll p = *(struct poll *)owner;
    struct history h = {.length = 0};
    bool gone = error != NULL && history_is_no_stream(error);

    free(owner);
    if (error == NULL && history_take_stream(&h, reply) == 0)
        set_lag(p.shard, &h, p.accounted);
    if (gone || (h.stream_exists && h.added < p.accounted))
        lose_stream(p.shard, &p);
}

void gauges_poll(struct shard *s)
{
    const struct position *position = &s->ledger.position;
    struct poll *p;

    if (!redis_is_up(s->process->commands))
        return;
    p = xcalloc(1, sizeof *p);
    *p = (struct poll){.shard = s,
                       .generation = s->generation,
                       .accounted =
                           position->base + (uint64_t)(position->processed + position->lost)};
    redis_commandf(s->process->commands, POLL_DEADLINE_MS, take_poll, p, "XINFO STREAM %s",
                   s->stream);
}
