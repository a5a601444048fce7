/* Owning a stream: the machine of aggregator.h, but for what OPENING and RUNNING do in detail. */
#include "aggregator/aggregator.h"
#include "common/clock.h"

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

static void shard_go(struct aggregator *a, enum shard_state next)
{
    assert(MAY_GO[a->state][next]);
    a->state = next;
}

bool shard_is_stale(struct aggregator *a, enum shard_state expected)
{
    if (a->state == expected)
        return false;
    shard_try(a);
    return true;
}

void shard_restart(struct aggregator *a, bool delay)
{
    if (a->state == SHARD_RELEASING || a->state == SHARD_ENDED)
        return;
    if (a->state != SHARD_OFFLINE)
        shard_go(a, SHARD_OFFLINE);
    a->generation++;
    /* The lease is not renewed meanwhile: while this process cannot work, another one may. */
    a->ledger.owned = false;
    work_forget(a);
    feed_stop(&a->feed);
    uv_timer_start(&a->retry, shard_on_retry,
                   delay ? backoff_next_ms(&a->backoff, backoff_random()) : 0, 0);
}

void shard_fail(struct aggregator *a, const char *step, const struct err *error)
{
    uint64_t held;

    /* A lost peer is logged where it is lost, once. */
    if (error->kind != ERR_CLOSED && error->kind != ERR_CANCELED &&
        log_repeat_failed(&a->refused, clock_monotonic_ms(), &held))
        log_error("step_failed", LOG_STR("stream", a->stream), LOG_STR("step", step),
                  LOG_U64("held_back", held), LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
    shard_restart(a, true);
}

void shard_on_retry(uv_timer_t *timer)
{
    struct aggregator *a = timer->data;

    if (a->schema_ok)
        shard_try(a);
    else
        aggregator_ask_schema(a);
}

void shard_on_lease_lost(void *owner)
{
    struct aggregator *a = owner;

    if (a->state < SHARD_OPENING || a->state > SHARD_RUNNING)
        return;
    log_warn("lease_lost", LOG_STR("stream", a->stream));
    a->table_batches = -1;
    shard_restart(a, false);
}

static void start_running(struct aggregator *a)
{
    struct entry_id from;

    if (entry_id_parse(a->ledger.position.last_id, &from) != 0)
        abort();
    shard_go(a, SHARD_RUNNING);
    backoff_reset(&a->backoff);
    log_repeat_recovered(&a->refused);
    log_info("stream_opened", LOG_STR("stream", a->stream),
             LOG_I64("epoch", a->ledger.position.epoch),
             LOG_STR("last_id", a->ledger.position.last_id));
    feed_start(&a->feed, from);
}

static void take_window(void *owner, const struct err *error)
{
    struct aggregator *a = owner;

    if (shard_is_stale(a, SHARD_LOADING))
        return;
    if (error != NULL) {
        shard_fail(a, "load window", error);
        return;
    }
    a->table_batches = a->ledger.position.batches;
    start_running(a);
}

static void load_window(struct aggregator *a)
{
    int64_t window_ms = a->config->dedupe_window_h * HOUR_MS;

    if (a->dedupe != NULL && a->table_batches == a->ledger.position.batches) {
        start_running(a);
        return;
    }
    dedupe_free(a->dedupe);
    a->table_batches = -1;
    a->dedupe = dedupe_new((size_t)a->config->dedupe_memory_mb << 20, window_ms, a->key);
    ledger_load_window(&a->ledger, a->dedupe, window_ms, take_window, a);
}

static void take_catalog(void *owner, const struct err *error)
{
    struct aggregator *a = owner;

    if (shard_is_stale(a, SHARD_LOADING))
        return;
    if (error != NULL)
        shard_fail(a, "read catalog", error);
    else
        load_window(a);
}

static void take_state(void *owner, const struct err *error)
{
    struct aggregator *a = owner;

    if (shard_is_stale(a, SHARD_LOADING))
        return;
    if (error != NULL) {
        shard_fail(a, "read state", error);
        return;
    }
    if (a->ledger.shards != a->config->base.stream_shards) {
        log_error("setting_refused", LOG_STR("setting", "METERLINE_STREAM_SHARDS"),
                  LOG_I64("value", a->config->base.stream_shards),
                  LOG_I64("database", a->ledger.shards),
                  LOG_MSG("the database has another number of shards"));
        stage_finish(a->stage, EXIT_SETTINGS);
        return;
    }
    ledger_read_catalog(&a->ledger, take_catalog, a);
}

static void take_days(void *owner, const struct err *error)
{
    struct aggregator *a = owner;

    if (shard_is_stale(a, SHARD_LOADING))
        return;
    if (error != NULL)
        shard_fail(a, "make partitions", error);
    else
        ledger_read_state(&a->ledger, take_state, a);
}

void opening_done(struct aggregator *a)
{
    shard_go(a, SHARD_LOADING);
    ledger_ensure_days(&a->ledger, take_days, a);
}

/* Somebody else has the stream: ask again soon, since their lease lasts 3 s. */
static void wait_for_lease(struct aggregator *a)
{
    if (!a->waiting_logged)
        log_info("lease_waited", LOG_STR("stream", a->stream),
                 LOG_MSG("another aggregator has this stream; waiting for its lease to end"));
    a->waiting_logged = true;
    if (a->lease_asked_ms == 0)
        a->lease_asked_ms = clock_monotonic_ms();
    if (a->config->once && clock_monotonic_ms() - a->lease_asked_ms > ONCE_LEASE_WAIT_MS) {
        log_error("lease_refused", LOG_STR("stream", a->stream),
                  LOG_MSG("another aggregator keeps this stream"));
        stage_finish(a->stage, EXIT_FAILED);
        return;
    }
    shard_go(a, SHARD_OFFLINE);
    uv_timer_start(&a->retry, shard_on_retry, LEASE_RETRY_MS, 0);
}

static void take_lease(void *owner, const struct err *error)
{
    struct aggregator *a = owner;

    if (shard_is_stale(a, SHARD_LEASING))
        return;
    if (error != NULL) {
        shard_fail(a, "lease", error);
    } else if (!a->ledger.owned) {
        wait_for_lease(a);
    } else {
        a->waiting_logged = false;
        a->lease_asked_ms = 0;
        shard_go(a, SHARD_OPENING);
        upkeep_poke(&a->upkeep);
        opening_run(a);
    }
}

/* An answer of a life before may still be on its way: it calls back here. */
void shard_try(struct aggregator *a)
{
    if (a->state == SHARD_OFFLINE && stage_is_draining(a->stage)) {
        shard_drain(a);
        return;
    }
    if (a->state != SHARD_OFFLINE || a->ledger.done != NULL || !a->schema_ok ||
        !pg_is_ready(a->pg) || !redis_is_up(a->commands) || !redis_is_up(a->reading))
        return;
    uv_timer_stop(&a->retry);
    shard_go(a, SHARD_LEASING);
    ledger_acquire(&a->ledger, take_lease, a);
}

static void take_released(void *owner, const struct err *error)
{
    struct aggregator *a = owner;

    (void)error; /* The lease ends by itself. */
    shard_go(a, SHARD_ENDED);
    stage_drained(a->stage);
}

/* Finish the batch that is being written, forget the rest, give the lease back. */
void shard_drain(struct aggregator *a)
{
    if (a->state == SHARD_RELEASING || a->state == SHARD_ENDED)
        return;
    if (a->work.state == WORK_WRITING)
        return; /* work.c comes back here */
    if (a->state != SHARD_OFFLINE)
        shard_restart(a, false);
    if (a->ledger.done != NULL)
        return; /* shard_is_stale comes back here */
    uv_timer_stop(&a->retry);
    if (a->schema_ok && pg_is_ready(a->pg)) {
        shard_go(a, SHARD_RELEASING);
        ledger_release(&a->ledger, take_released, a);
        return;
    }
    shard_go(a, SHARD_ENDED);
    stage_drained(a->stage);
}
