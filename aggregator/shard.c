/* Owning a stream: the machine of shard.h, but for what OPENING and RUNNING do in detail. */
#include "aggregator/shard.h"
#include "common/clock.h"
#include "common/stage.h"

#include <assert.h>
#include <stdlib.h>

enum { LEASE_RETRY_MS = 300, ONCE_LEASE_WAIT_MS = 10000 };

static const bool MAY_GO[SHARD_ENDED + 1][SHARD_ENDED + 1] = {
    [SHARD_OFFLINE] = {[SHARD_LEASING] = true, [SHARD_RELEASING] = true, [SHARD_ENDED] = true},
    [SHARD_LEASING] = {[SHARD_OPENING] = true, [SHARD_OFFLINE] = true},
    [SHARD_OPENING] = {[SHARD_LOADING] = true, [SHARD_OFFLINE] = true},
    [SHARD_LOADING] = {[SHARD_RUNNING] = true, [SHARD_OFFLINE] = true},
    [SHARD_RUNNING] = {[SHARD_OFFLINE] = true},
    [SHARD_RELEASING] = {[SHARD_ENDED] = true},
};

static void shard_go(struct shard *s, enum shard_state next)
{
    assert(MAY_GO[s->state][next]);
    s->state = next;
}

bool shard_is_stale(struct shard *s, enum shard_state expected)
{
    if (s->state == expected)
        return false;
    shard_try(s);
    return true;
}

void shard_restart(struct shard *s, bool delay)
{
    if (s->state == SHARD_RELEASING || s->state == SHARD_ENDED)
        return;
    if (s->state != SHARD_OFFLINE)
        shard_go(s, SHARD_OFFLINE);
    s->generation++;
    /* The lease is not renewed meanwhile: while this process cannot work, another one may. */
    s->ledger.owned = false;
    s->ending = false;
    s->sums_left = s->sums_left || s->unfolded.events > 0;
    work_forget(s);
    feed_stop(&s->feed);
    uv_timer_start(&s->retry, shard_on_retry,
                   delay ? backoff_next_ms(&s->backoff, backoff_random()) : 0, 0);
}

void shard_fail(struct shard *s, const char *step, const struct err *error)
{
    uint64_t held;

    /* A lost peer is logged where it is lost, once. */
    if (error->kind != ERR_CLOSED && error->kind != ERR_CANCELED &&
        log_repeat_failed(&s->refused, clock_monotonic_ms(), &held))
        log_error("step_failed", LOG_STR("stream", s->stream), LOG_STR("step", step),
                  LOG_U64("held_back", held), LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
    shard_restart(s, true);
}

void shard_on_retry(uv_timer_t *timer)
{
    struct shard *s = timer->data;

    if (s->schema_ok)
        shard_try(s);
    else
        shard_ask_schema(s);
}

void shard_on_lease_lost(void *owner)
{
    struct shard *s = owner;

    if (s->state < SHARD_OPENING || s->state > SHARD_RUNNING)
        return;
    log_warn("lease_lost", LOG_STR("stream", s->stream));
    s->table_batches = -1;
    shard_restart(s, false);
}

bool shard_is_renewed(const struct shard *s)
{
    return s->renewed && s->renewed_generation == s->generation && s->ledger.owned;
}

bool shard_has_redis(const struct shard *s)
{
    return redis_is_up(s->commands) && redis_is_up(s->reading);
}

void shard_on_redis_down(struct shard *s)
{
    if (s->state >= SHARD_OPENING && s->state <= SHARD_RUNNING && !s->closing)
        shard_restart(s, false);
}

static void start_running(struct shard *s)
{
    struct entry_id from;

    if (entry_id_parse(s->ledger.position.last_id, &from) != 0)
        abort();
    shard_go(s, SHARD_RUNNING);
    s->running_since_ms = clock_monotonic_ms();
    backoff_reset(&s->backoff);
    log_repeat_recovered(&s->refused);
    log_info("stream_opened", LOG_STR("stream", s->stream),
             LOG_I64("epoch", s->ledger.position.epoch),
             LOG_STR("last_id", s->ledger.position.last_id));
    /* Who was here before may have been killed between COMMIT and this, and a stream may stay
     * quiet. */
    trim_run(s);
    feed_start(&s->feed, from);
}

static void take_window(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (shard_is_stale(s, SHARD_LOADING))
        return;
    if (error != NULL) {
        shard_fail(s, "load window", error);
        return;
    }
    s->table_batches = s->ledger.position.batches;
    start_running(s);
}

/* Each shard has an equal part, whoever owns it, so that what a process takes over from another
 * makes no table smaller. */
static size_t table_bytes(const struct shard_spec *spec)
{
    size_t part = ((size_t)spec->config->dedupe_memory_mb << 20) / (size_t)spec->shards;

    return part > DEDUPE_MEMORY_MIN_BYTES ? part : DEDUPE_MEMORY_MIN_BYTES;
}

/* A stream that is read again from long before needs a table that goes back as far. */
static bool is_table_good(const struct shard *s, int64_t reading_ms)
{
    return s->dedupe != NULL && s->table_batches == s->ledger.position.batches &&
           s->table_resharded_ms == s->ledger.resharded_ms &&
           reading_ms >= s->table_reading_ms - DEDUPE_SLACK_MS;
}

/* In a stream that is new or was made anew, entries come from now on. */
static int64_t reading_ms_of(const struct ledger *l)
{
    struct entry_id next = {.ms = l->reading_ms};

    return l->reading_ms == 0 ? l->now_ms : entry_id_time_ms(next, l->now_ms);
}

static void load_window(struct shard *s)
{
    struct window_span span = {.reading_ms = reading_ms_of(&s->ledger),
                               .window_ms = s->spec.config->dedupe_window_h * HOUR_MS};

    if (is_table_good(s, span.reading_ms)) {
        start_running(s);
        return;
    }
    dedupe_free(s->dedupe);
    s->table_batches = -1;
    s->dedupe = dedupe_new(table_bytes(&s->spec), span.window_ms, s->spec.key);
    s->table_reading_ms = span.reading_ms;
    s->table_resharded_ms = s->ledger.resharded_ms;
    if (s->number < 0)
        take_window(s, NULL); /* nothing of this stream is counted any more */
    else
        ledger_load_window(&s->ledger, s->dedupe, s->number, span, take_window, s);
}

static void take_folded(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (shard_is_stale(s, SHARD_LOADING))
        return;
    if (error != NULL) {
        shard_fail(s, "fold", error);
        return;
    }
    s->sums_left = false;
    load_window(s);
}

/* Whoever had the stream before may have left sums pending. So may those of another number of
 * shards: a retraction here may take back what is pending there. */
static void run_fold(struct shard *s)
{
    struct pg_array current;

    pg_array_init(&current, PG_TEXT);
    stream_name_list(s->spec.shards, &current);
    ledger_fold_left(&s->ledger, &current, take_folded, s);
}

static void take_catalog(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (shard_is_stale(s, SHARD_LOADING))
        return;
    if (error != NULL)
        shard_fail(s, "read catalog", error);
    else
        run_fold(s);
}

static void take_state(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (shard_is_stale(s, SHARD_LOADING))
        return;
    if (error != NULL) {
        shard_fail(s, "read state", error);
        return;
    }
    /* Asked after the lease was taken: a change of the number takes all leases away. */
    if (s->ledger.shards != s->spec.shards)
        s->spec.events.number_moved(s->spec.events.owner, s->ledger.shards);
    else
        ledger_read_catalog(&s->ledger, take_catalog, s);
}

static void take_days(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (shard_is_stale(s, SHARD_LOADING))
        return;
    if (error != NULL)
        shard_fail(s, "make partitions", error);
    else
        ledger_read_state(&s->ledger, take_state, s);
}

void opening_done(struct shard *s)
{
    shard_go(s, SHARD_LOADING);
    ledger_ensure_days(&s->ledger, take_days, s);
}

/* Somebody else has the stream: leave it to them. --once asks again for a while, since their lease
 * lasts 3 s. */
static void wait_for_lease(struct shard *s)
{
    shard_go(s, SHARD_OFFLINE);
    if (!s->spec.config->once) {
        shard_leave(s);
        return;
    }
    if (s->lease_asked_ms == 0)
        s->lease_asked_ms = clock_monotonic_ms();
    if (clock_monotonic_ms() - s->lease_asked_ms > ONCE_LEASE_WAIT_MS) {
        log_error("lease_refused", LOG_STR("stream", s->stream),
                  LOG_MSG("another aggregator keeps this stream"));
        s->spec.events.finished(s->spec.events.owner, s, EXIT_FAILED);
        return;
    }
    uv_timer_start(&s->retry, shard_on_retry, LEASE_RETRY_MS, 0);
}

static void take_lease(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (shard_is_stale(s, SHARD_LEASING))
        return;
    if (error != NULL) {
        shard_fail(s, "lease", error);
    } else if (!s->ledger.owned) {
        wait_for_lease(s);
    } else {
        s->lease_asked_ms = 0;
        shard_go(s, SHARD_OPENING);
        s->spec.events.lease_taken(s->spec.events.owner);
        opening_run(s);
    }
}

/* An answer of a life before may still be on its way: it calls back here. */
void shard_try(struct shard *s)
{
    if (s->state == SHARD_OFFLINE && shard_is_leaving(s)) {
        shard_drain(s);
        return;
    }
    if (s->state != SHARD_OFFLINE || s->ledger.done != NULL || !s->schema_ok ||
        !pg_is_ready(s->pg) || !shard_has_redis(s))
        return;
    uv_timer_stop(&s->retry);
    shard_go(s, SHARD_LEASING);
    ledger_acquire(&s->ledger, take_lease, s);
}

static void take_released(void *owner, const struct err *error)
{
    struct shard *s = owner;

    (void)error; /* The lease ends by itself. */
    if (s->closing)
        return;
    shard_go(s, SHARD_ENDED);
    s->spec.events.ended(s->spec.events.owner, s);
}

/* What is not folded now waits for whoever opens the stream next: that may be long. */
static void take_rest(void *owner, const struct err *error)
{
    struct shard *s = owner;

    if (error == NULL && !s->closing && pg_is_ready(s->pg))
        ledger_release(&s->ledger, take_released, s);
    else
        take_released(s, error);
}

bool shard_is_leaving(const struct shard *s)
{
    return s->leaving;
}

void shard_leave(struct shard *s)
{
    s->leaving = true;
    shard_drain(s);
}

void shard_drain(struct shard *s)
{
    if (s->state == SHARD_RELEASING || s->state == SHARD_ENDED)
        return;
    if (s->work.state == WORK_WRITING || s->work.state == WORK_FOLDING || work_fold_rest(s))
        return; /* work.c comes back here */
    if (s->state != SHARD_OFFLINE)
        shard_restart(s, false);
    if (s->ledger.done != NULL)
        return; /* shard_is_stale comes back here */
    uv_timer_stop(&s->retry);
    if (s->schema_ok && pg_is_ready(s->pg)) {
        shard_go(s, SHARD_RELEASING);
        if (s->sums_left)
            ledger_fold(&s->ledger, (struct ledger_sums){.fold = true}, take_rest, s);
        else
            ledger_release(&s->ledger, take_released, s);
        return;
    }
    shard_go(s, SHARD_ENDED);
    s->spec.events.ended(s->spec.events.owner, s);
}
