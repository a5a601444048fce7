/* What operators watch: outcomes, lag, the balance. */
#include "aggregator/shard.h"
#include "common/clock.h"
#include "common/contract.h"
#include "common/metric_table.h"

#include <stdlib.h>
#include <string.h>

enum { POLL_DEADLINE_MS = 5000 };

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

void gauges_scrape_metrics(const struct catalog *c)
{
    int64_t now_ms = clock_monotonic_ms();

    forget_retired(c);
    for (int i = 0; i < c->count; i++) {
        int64_t at_ms = last_event_of(c->metrics[i].name)->at_ms;
        metric_set(metric_with(METRIC_OF_LAST_EVENT, c->metrics[i].name), now_ms - at_ms);
    }
}

void gauges_done(void)
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

    for (uint32_t i = 0; i < b->tally.count; i++)
        seen[b->tally.rows[i].metric] = true;
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

void gauges_count_batch(const struct shard *s, int64_t commit_us)
{
    const struct batch *b = s->batch;

    metric_add(metric_with(METRIC_OF_EVENTS, "counted"), b->counted);
    metric_add(metric_with(METRIC_OF_EVENTS, "duplicate"), b->duplicates);
    metric_add(metric_with(METRIC_OF_EVENTS, "rejected"), b->rejected);
    metric_add(metric_with(METRIC_OF_EVENTS, "conflict"), b->conflicts);
    count_reasons(b);
    note_metrics(b);
    metric_observe(metric_of(METRIC_OF_COMMIT, ""), commit_us);
    log_info("batch_committed", LOG_STR("stream", s->stream), LOG_I64("entries", b->to - b->from),
             LOG_I64("counted", b->counted), LOG_I64("duplicates", b->duplicates),
             LOG_I64("rejected", b->rejected), LOG_I64("conflicts", b->conflicts),
             LOG_U64("minute_rows", b->tally.count), LOG_I64("commit_us", commit_us),
             LOG_STR("last_id", s->ledger.position.last_id));
}

/* An id of its own that somebody gave an entry: all that follow have ids after it. Some clocks
 * differ, but not by a day. */
static void see_newest(struct shard *s, const struct history *h)
{
    uint64_t held;
    int64_t now_ms = clock_unix_ms();

    if (h->newest.ms <= (uint64_t)(now_ms + EVENT_ENTRY_FUTURE_MAX_MS))
        log_repeat_recovered(&s->in_future);
    else if (log_repeat_failed(&s->in_future, clock_monotonic_ms(), &held))
        log_error("stream_in_future", LOG_STR("stream", s->stream),
                  LOG_U64("newest_ms", h->newest.ms), LOG_U64("held_back", held),
                  LOG_MSG("an entry with an id of its own drove the stream into the future: events "
                          "without ts are rejected; set it right: meterctl stream reset"));
}

/* What Redis told is remembered: should it know less one day, it lost that. */
static void see_stream(struct shard *s, const struct history *h)
{
    see_newest(s, h);
    if (h->added > s->ledger.position.added_seen)
        s->ledger.position.added_seen = h->added;
}

static void set_lag(const struct shard *s, const struct history *h, uint64_t accounted)
{
    bool keeps = s->spec.config->stream_keep_s > 0;
    int64_t oldest_ms = keeps || h->length == 0 ? 0 : clock_unix_ms() - (int64_t)h->first.ms;

    metric_set(metric_of(METRIC_OF_STREAM_LAG, s->label),
               keeps ? (int64_t)(h->added - accounted) : (int64_t)h->length);
    metric_set(metric_of(METRIC_OF_OLDEST_WAITING, s->queue_label), oldest_ms > 0 ? oldest_ms : 0);
}

/* Entries that were added and are neither accounted for nor waiting. What waits is what is in the
 * stream; where entries are kept behind the position, it is nothing if the position is at the
 * newest id, and else all but those that were accounted for and not trimmed: accounted - trimmed.
 */
static int64_t count_unaccounted(const struct shard *s, const struct history *h,
                                 const struct trim_seen *seen)
{
    uint64_t waiting = h->length - (seen->accounted - s->ledger.position.trimmed);

    if (seen->all)
        waiting = h->length;
    else if (entry_id_compare(h->newest, seen->last) == 0)
        waiting = 0;
    return (int64_t)(h->added - seen->accounted - waiting);
}

/* h was read in the step that trimmed, or before the next one. */
static void set_unaccounted(struct shard *s, const struct history *h, const struct trim_seen *seen)
{
    int64_t unaccounted = count_unaccounted(s, h, seen);
    uint64_t held;

    metric_set(metric_of(METRIC_OF_UNACCOUNTED, s->label), unaccounted);
    if (unaccounted == 0)
        log_repeat_recovered(&s->unbalanced);
    else if (log_repeat_failed(&s->unbalanced, clock_monotonic_ms(), &held))
        log_error("balance_broken", LOG_STR("stream", s->stream),
                  LOG_I64("unaccounted", unaccounted), LOG_U64("added", h->added),
                  LOG_U64("held_back", held),
                  LOG_MSG(unaccounted > 0
                              ? "somebody else removed entries that were not counted yet (XTRIM, "
                                "XDEL, or XADD with MAXLEN); to book them: meterctl stream lost"
                              : "entries that were counted came back into the stream"));
}

void gauges_take_stream(struct shard *s, const struct history *h, const struct trim_seen *seen)
{
    set_unaccounted(s, h, seen);
    s->trim_seen = *seen;
    s->trim_seen_generation = s->generation;
    set_lag(s, h, seen->accounted);
    see_stream(s, h);
}

void gauges_scrape(struct shard *s)
{
    if (s->dedupe == NULL)
        return;
    metric_set(metric_of(METRIC_OF_DEDUPE_WINDOW, s->label), dedupe_window_ms(s->dedupe));
    metric_set(metric_of(METRIC_OF_DEDUPE_KEYS, s->label), (int64_t)dedupe_stats(s->dedupe).keys);
    metric_set(metric_of(METRIC_OF_DEDUPE_BYTES, s->label),
               (int64_t)dedupe_stats(s->dedupe).used_bytes);
}

struct poll {
    struct shard *shard;
    uint64_t generation;
    uint64_t accounted;
    uint64_t added; /* when XINFO was sent: Redis had added at least that */
    struct trim_seen seen;
};

/* Redis has fewer entries than are in the ledger, or no stream any more: flushed while we read. Or
 * our mark is not there: made anew, set back, or taken over by another ledger. */
static void lose_stream(struct shard *s, const struct poll *p, const char *why)
{
    struct err e;

    if (s->state != SHARD_RUNNING || p->generation != s->generation)
        return;
    err_set(&e, ERR_REFUSED, "%s", why);
    shard_fail(s, "look at stream", &e);
}

static bool has_mark(const struct shard *s, const redisReply *consumers)
{
    char mark[EPOCH_MARK_SIZE];

    epoch_mark_format(&s->ledger.position.mark, mark);
    return history_has_consumer(consumers, mark);
}

static void take_consumers(void *owner, const struct err *error, void *reply)
{
    struct poll p = *(struct poll *)owner;
    struct shard *s = p.shard;

    free(owner);
    if (error == NULL ? !has_mark(s, reply)
                      : history_is_no_stream(error) || history_is_no_group(error))
        lose_stream(s, &p, "the stream in Redis is not the one that was counted");
    shard_unref(s);
}

static void take_poll(void *owner, const struct err *error, void *reply)
{
    struct poll p = *(struct poll *)owner;
    struct shard *s = p.shard;
    struct history h = {.length = 0};
    bool gone = error != NULL && history_is_no_stream(error);

    free(owner);
    if (!s->closing && error == NULL && history_take_stream(&h, reply) == 0)
        set_lag(s, &h, p.accounted);
    if (gone || (h.stream_exists && h.added < p.added))
        lose_stream(s, &p, "the stream in Redis begins anew");
    else if (h.stream_exists && s->state == SHARD_RUNNING && p.generation == s->generation)
        see_stream(s, &h);
    shard_unref(s);
}

/* The stream, if nobody has trimmed it since that: who does moves the group in the same step. One
 * that was paused may not know that another process has gone on. */
static const char LOOK[] = "#!lua flags=no-writes,allow-oom\n"
                           "for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do\n"
                           "  for i = 1, #group, 2 do\n"
                           "    if group[2] == ARGV[1] and group[i] == 'last-delivered-id' and "
                           "group[i + 1] == ARGV[2] then\n"
                           "      return redis.call('XINFO', 'STREAM', KEYS[1])\n"
                           "    end\n"
                           "  end\n"
                           "end\n"
                           "return false";

static void take_look(void *owner, const struct err *error, void *reply)
{
    struct poll p = *(struct poll *)owner;
    struct shard *s = p.shard;
    const redisReply *r = reply;
    struct history h = {.length = 0};

    free(owner);
    if (error == NULL && r->type == REDIS_REPLY_ARRAY && history_take_stream(&h, r) == 0 &&
        !s->closing && s->state == SHARD_RUNNING && p.generation == s->generation)
        set_unaccounted(s, &h, &p.seen);
    shard_unref(s);
}

static struct poll *poll_new(struct shard *s)
{
    const struct position *position = &s->ledger.position;
    struct poll *p = xcalloc(1, sizeof *p);

    *p = (struct poll){.shard = shard_ref(s),
                       .generation = s->generation,
                       .accounted = position_accounted(position)};
    p->seen = s->trim_seen;
    p->added = p->accounted > position->added_seen ? p->accounted : position->added_seen;
    return p;
}

/* A stream where nothing is committed has a balance too. */
static void look_at_balance(struct shard *s)
{
    char last[ENTRY_ID_TEXT_SIZE];

    if (s->state != SHARD_RUNNING || s->trim_seen_generation != s->generation)
        return;
    entry_id_format(s->trim_seen.last, last);
    redis_commandf(s->commands, POLL_DEADLINE_MS, take_look, poll_new(s), "EVAL %s 1 %s %s %s",
                   LOOK, s->stream, STREAM_GROUP, last);
}

void gauges_poll(struct shard *s)
{
    if (!redis_is_up(s->commands))
        return;
    look_at_balance(s);
    redis_commandf(s->commands, POLL_DEADLINE_MS, take_poll, poll_new(s), "XINFO STREAM %s",
                   s->stream);
    redis_commandf(s->commands, POLL_DEADLINE_MS, take_consumers, poll_new(s),
                   "XINFO CONSUMERS %s %s", s->stream, STREAM_GROUP);
}
