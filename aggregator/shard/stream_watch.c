#include "aggregator/shard/stream_watch.h"

#include "aggregator/shard/history.h"
#include "aggregator/shard/shard_metrics.h"
#include "common/clock.h"
#include "common/contract.h"

#include <stdlib.h>

enum { DEADLINE_MS = 5000, DURABLE_EVERY_MS = 5000 };

/* Somebody may give an entry an id of their own, and all that follow get ids after it. Clocks may
 * differ, but not by a day. */
static void see_newest(struct stream_watch *w, const struct history *h)
{
    uint64_t suppressed;
    int64_t now_ms = clock_unix_ms();
    if (h->newest.ms <= (uint64_t)(now_ms + EVENT_ENTRY_FUTURE_MAX_MS))
        log_repeat_recovered(&w->in_future);
    else if (log_repeat_failed(&w->in_future, clock_monotonic_ms(), &suppressed))
        log_error(stream_in_future, LOG_STR("stream", w->spec.stream),
                  LOG_U64("newest_ms", h->newest.ms), LOG_U64("held_back", suppressed),
                  LOG_MSG("somebody added an entry whose id lies in the future, so events without "
                          "ts are rejected; to repair the stream: meterctl stream reset"));
}

/* Remembered, so that it shows if Redis has fewer one day: then it lost entries. */
static void see_stream(struct stream_watch *w, const struct history *h)
{
    see_newest(w, h);
    if (h->added > w->spec.position->added_seen)
        w->spec.position->added_seen = h->added;
}

static void set_lag(const struct stream_watch *w, const struct history *h, uint64_t accounted)
{
    bool keeps = w->spec.config->stream_keep_s > 0;
    int64_t oldest_ms = keeps || h->length == 0 ? 0 : clock_unix_ms() - (int64_t)h->first.ms;
    shard_metrics_set_lag(w->spec.label, w->spec.queue_label,
                          keeps ? (int64_t)(h->added - accounted) : (int64_t)h->length,
                          oldest_ms > 0 ? oldest_ms : 0);
}

/* Entries that were added and are neither accounted for nor waiting. What waits is what is in the
 * stream; where entries are kept behind the position, it is nothing if the position is at the
 * newest id, and else all but accounted - trimmed: those accounted for and not trimmed. */
static int64_t count_unaccounted(const struct stream_watch *w, const struct history *h,
                                 const struct trim_seen *seen)
{
    uint64_t waiting = h->length - (seen->accounted - w->spec.position->trimmed);
    if (seen->all)
        waiting = h->length;
    else if (entry_id_compare(h->newest, seen->last) == 0)
        waiting = 0;
    return (int64_t)(h->added - seen->accounted - waiting);
}

/* h was read in the step that trimmed, or before the next one. */
static void set_unaccounted(struct stream_watch *w, const struct history *h,
                            const struct trim_seen *seen)
{
    int64_t unaccounted = count_unaccounted(w, h, seen);
    shard_metrics_set_unaccounted(w->spec.label, unaccounted);
    uint64_t suppressed;
    if (unaccounted == 0)
        log_repeat_recovered(&w->unbalanced);
    else if (log_repeat_failed(&w->unbalanced, clock_monotonic_ms(), &suppressed))
        log_error(
            balance_broken, LOG_STR("stream", w->spec.stream), LOG_I64("unaccounted", unaccounted),
            LOG_U64("added", h->added), LOG_U64("held_back", suppressed),
            LOG_MSG(unaccounted > 0
                        ? "somebody removed entries that had not been counted yet (XTRIM, XDEL, "
                          "or XADD with MAXLEN): send them again with the same id and ts if the "
                          "senders "
                          "have them; to book the rest as lost: meterctl stream lost"
                        : "entries that had been counted came back into the stream: find out who "
                          "writes to it; "
                          "`meterctl audit` shows the balance"));
}

void stream_watch_take_trimmed(struct stream_watch *w, const struct trimmed *t)
{
    set_unaccounted(w, &t->stream, &t->seen);
    w->seen = t->seen;
    w->trimmed = true;
    set_lag(w, &t->stream, t->seen.accounted);
    see_stream(w, &t->stream);
}

struct look {
    struct stream_watch *watch;
    uint64_t generation;
    uint64_t accounted;
    uint64_t added; /* when XINFO was sent: Redis had added at least that */
    struct trim_seen seen;
};

static bool is_counting(const struct look *l)
{
    return l->watch->counting && l->generation == l->watch->generation;
}

/* Redis has fewer entries than are in the ledger, or no stream any more, as after FLUSHALL. Or our
 * mark is missing: the stream was made anew, restored, or taken over by another ledger. */
static void lose_stream(const struct look *l, const char *why)
{
    if (is_counting(l))
        l->watch->spec.lost(l->watch->spec.owner, why);
}

static bool has_mark(const struct stream_watch *w, const redisReply *consumers)
{
    char mark[EPOCH_MARK_SIZE];
    epoch_mark_format(&w->spec.position->mark, mark);
    return history_has_consumer(consumers, mark);
}

static void take_consumers(void *owner, const struct err *error, void *reply)
{
    struct look l = *(struct look *)owner;
    free(owner);
    if (!error ? !has_mark(l.watch, reply)
               : history_is_no_stream(error) || history_is_no_group(error))
        lose_stream(&l, "the stream in Redis is not the one that was counted");
}

static void take_stream(void *owner, const struct err *error, void *reply)
{
    struct look l = *(struct look *)owner;
    struct history h = {.length = 0};
    bool gone = error && history_is_no_stream(error);
    free(owner);
    if (!error && history_take_stream(&h, reply) == 0)
        set_lag(l.watch, &h, l.accounted);
    if (gone || (h.stream_exists && h.added < l.added))
        lose_stream(&l, "the stream in Redis was replaced by a new one");
    else if (h.stream_exists && is_counting(&l))
        see_stream(l.watch, &h);
}

/* Returns the stream's figures if nobody has trimmed it since the given id: whoever trims moves the
 * group in the same step. A process that was paused may not know that another one has gone on. */
static const char BALANCE[] = "#!lua flags=no-writes,allow-oom\n"
                              "for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do\n"
                              "  for i = 1, #group, 2 do\n"
                              "    if group[2] == ARGV[1] and group[i] == 'last-delivered-id' and "
                              "group[i + 1] == ARGV[2] then\n"
                              "      return redis.call('XINFO', 'STREAM', KEYS[1])\n"
                              "    end\n"
                              "  end\n"
                              "end\n"
                              "return false";

static void take_balance(void *owner, const struct err *error, void *reply)
{
    struct look l = *(struct look *)owner;
    const redisReply *r = reply;
    struct history h = {.length = 0};
    free(owner);
    if (!error && r->type == REDIS_REPLY_ARRAY && history_take_stream(&h, r) == 0 &&
        is_counting(&l))
        set_unaccounted(l.watch, &h, &l.seen);
}

static struct look *look_new(struct stream_watch *w)
{
    const struct position *p = w->spec.position;
    struct look *l = xcalloc(1, sizeof *l);
    *l = (struct look){.watch = w, .generation = w->generation, .accounted = position_accounted(p)};
    l->seen = w->seen;
    l->added = l->accounted > p->added_seen ? l->accounted : p->added_seen;
    return l;
}

/* A stream where nothing is committed has a balance too. */
static void look_at_balance(struct stream_watch *w)
{
    if (!w->counting || !w->trimmed)
        return;
    char last[ENTRY_ID_TEXT_SIZE];
    entry_id_format(w->seen.last, last);
    redis_commandf(w->spec.redis, DEADLINE_MS, take_balance, look_new(w), "EVAL %s 1 %s %s %s",
                   BALANCE, w->spec.stream, STREAM_GROUP, last);
}

void stream_watch_note_unfit(struct stream_watch *w, const char *unfit)
{
    uint64_t suppressed;
    if (!unfit && log_repeat_recovered(&w->unfit_repeats))
        log_info(redis_durable, LOG_STR("stream", w->spec.stream));
    else if (unfit && log_repeat_failed(&w->unfit_repeats, clock_monotonic_ms(), &suppressed))
        log_error(redis_volatile, LOG_STR("stream", w->spec.stream),
                  LOG_U64("held_back", suppressed), LOG_MSG(unfit));
    w->unfit = unfit;
}

static void take_config(void *owner, const struct err *error, void *reply)
{
    struct stream_watch *w = owner;
    struct history h = {.length = 0};
    if (error || !w->counting)
        return;
    history_take_config(&h, reply);
    stream_watch_note_unfit(w, history_durability_fault(&h, w->spec.config->allow_volatile_redis));
}

void stream_watch_poll(struct stream_watch *w)
{
    if (!redis_is_up(w->spec.redis))
        return;
    look_at_balance(w);
    redis_commandf(w->spec.redis, DEADLINE_MS, take_stream, look_new(w), "XINFO STREAM %s",
                   w->spec.stream);
    redis_commandf(w->spec.redis, DEADLINE_MS, take_consumers, look_new(w), "XINFO CONSUMERS %s %s",
                   w->spec.stream, STREAM_GROUP);
    /* Asked again and again, since it can be changed at any time. Counting goes on: what is counted
     * is safe in PostgreSQL, and a stream that is not counted would only grow. */
    if (w->counting && clock_monotonic_ms() >= w->durable_due_ms) {
        w->durable_due_ms = clock_monotonic_ms() + DURABLE_EVERY_MS;
        redis_commandf(w->spec.redis, DEADLINE_MS, take_config, w, HISTORY_CONFIG);
    }
}

void stream_watch_init(struct stream_watch *w, struct stream_watch_spec spec)
{
    *w = (struct stream_watch){.spec = spec};
}

void stream_watch_start(struct stream_watch *w)
{
    w->counting = true;
    w->trimmed = false;
}

void stream_watch_stop(struct stream_watch *w)
{
    w->counting = false;
    w->generation++;
}
