#include "aggregator/shard/loading.h"

#include "aggregator/stream/entry_id.h"
#include "aggregator/stream/stream_name.h"
#include "common/clock.h"
#include "common/log.h"

#include <stddef.h>

static bool is_over(struct loading *l, const char *step, const struct err *error)
{
    if (!l->running) {
        l->spec.events.late(l->spec.events.owner);
        return true;
    }
    if (!error)
        return false;
    l->running = false;
    l->spec.events.failed(l->spec.events.owner, step, error);
    return true;
}

static void take_window(void *owner, const struct err *error)
{
    struct loading *l = owner;
    if (is_over(l, "load window", error))
        return;
    l->batches = l->spec.ledger->position.batches;
    l->running = false;
    l->spec.events.loaded(l->spec.events.owner);
}

/* Each shard has an equal part, whoever owns it, so that what a process takes over from another
 * makes no table smaller. */
static size_t table_bytes(const struct loading_spec *spec)
{
    size_t part = ((size_t)spec->config->dedupe_memory_mb << 20) / (size_t)spec->shards;
    return part > DEDUPE_MEMORY_MIN_BYTES ? part : DEDUPE_MEMORY_MIN_BYTES;
}

/* A stream that is read again from long before needs a table that goes back as far. */
static bool is_table_good(const struct loading *l, int64_t reading_ms)
{
    const struct ledger *ledger = l->spec.ledger;
    return l->dedupe && l->batches == ledger->position.batches &&
           l->resharded_ms == ledger->resharded_ms && reading_ms >= l->reading_ms - DEDUPE_SLACK_MS;
}

/* In a stream that is new or was made anew, entries come from now on. */
static int64_t reading_ms_of(const struct ledger *l)
{
    struct entry_id next = {.ms = l->reading_ms};
    return l->reading_ms == 0 ? l->now_ms : entry_id_time_ms(next, l->now_ms);
}

static void load_window(struct loading *l)
{
    struct ledger *ledger = l->spec.ledger;
    struct window_span span = {.reading_ms = reading_ms_of(ledger),
                               .window_ms = l->spec.config->dedupe_window_h * HOUR_MS};
    if (is_table_good(l, span.reading_ms)) {
        take_window(l, NULL);
        return;
    }
    dedupe_free(l->dedupe);
    l->batches = -1;
    l->dedupe = dedupe_new(table_bytes(&l->spec), span.window_ms, l->spec.key);
    l->reading_ms = span.reading_ms;
    l->resharded_ms = ledger->resharded_ms;
    if (l->spec.number < 0)
        take_window(l, NULL); /* nothing of this stream is counted any more */
    else
        ledger_load_window(ledger, l->dedupe, l->spec.number, span, take_window, l);
}

static void take_folded(void *owner, const struct err *error)
{
    struct loading *l = owner;
    if (is_over(l, "fold", error))
        return;
    l->sums_left = false;
    load_window(l);
}

/* Whoever had the stream before may have left sums pending. So may those of another number of
 * shards: a retraction here may take back what is pending there. */
static void take_catalog(void *owner, const struct err *error)
{
    struct loading *l = owner;
    if (is_over(l, "read catalog", error))
        return;
    struct pg_array current;
    pg_array_init(&current, PG_TEXT);
    stream_name_list(l->spec.shards, &current);
    ledger_recover_sums(l->spec.ledger, &current, take_folded, l);
}

static void take_state(void *owner, const struct err *error)
{
    struct loading *l = owner;
    struct ledger *ledger = l->spec.ledger;
    if (is_over(l, "read state", error))
        return;
    /* Asked after the lease was taken: a change of the number takes all leases away. */
    if (ledger->shards != l->spec.shards)
        l->spec.events.number_moved(l->spec.events.owner, ledger->shards);
    else
        ledger_read_catalog(ledger, take_catalog, l);
}

static void take_days(void *owner, const struct err *error)
{
    struct loading *l = owner;
    if (!is_over(l, "make partitions", error))
        ledger_read_state(l->spec.ledger, take_state, l);
}

void loading_init(struct loading *l, struct loading_spec spec)
{
    *l = (struct loading){.spec = spec, .batches = -1};
}

void loading_done(struct loading *l)
{
    dedupe_free(l->dedupe);
}

void loading_run(struct loading *l)
{
    l->running = true;
    ledger_ensure_days(l->spec.ledger, take_days, l);
}

void loading_stop(struct loading *l)
{
    l->running = false;
}

void loading_forget_table(struct loading *l)
{
    l->batches = -1;
}

void loading_move_window(struct loading *l)
{
    const struct dedupe_batch *stored = &l->spec.ledger->stored;
    l->batches = l->spec.ledger->position.batches;
    dedupe_read_from(l->dedupe, stored->entry_ms);
    dedupe_expire(l->dedupe, stored->committed_ms);
    if (l->reading_ms < stored->entry_ms)
        l->reading_ms = stored->entry_ms;
    if (dedupe_shrunk(l->dedupe) > 0)
        log_warn(dedupe_window_shrunk, LOG_STR("stream", l->spec.ledger->stream),
                 LOG_I64("window_s", dedupe_window_ms(l->dedupe) / 1000),
                 LOG_MSG("DEDUPE_MEMORY_MB is full: older ids are no longer recognised"));
}
