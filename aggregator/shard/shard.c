/* The machine of a shard: its moves, the lease, and how it ends. */
#include "aggregator/shard/shard.h"

#include "aggregator/shard/shard_metrics.h"
#include "common/clock.h"
#include "common/pg/schema.h"
#include "common/stage.h"

#include <stdlib.h>

enum { SCHEMA_RETRY_MS = 1000, LEASE_RETRY_MS = 300, ONCE_LEASE_WAIT_MS = 10000 };

const struct machine SHARD_MACHINE = {
    "shard",
    {[SHARD_OFFLINE] = {"offline", TO(SHARD_LEASING) | TO(SHARD_RELEASING) | TO(SHARD_ENDED)},
     [SHARD_LEASING] = {"leasing", TO(SHARD_OPENING) | TO(SHARD_OFFLINE)},
     [SHARD_OPENING] = {"opening", TO(SHARD_LOADING) | TO(SHARD_OFFLINE)},
     [SHARD_LOADING] = {"loading", TO(SHARD_RUNNING) | TO(SHARD_OFFLINE)},
     [SHARD_RUNNING] = {"running", TO(SHARD_OFFLINE)},
     [SHARD_RELEASING] = {"releasing", TO(SHARD_ENDED)},
     [SHARD_ENDED] = {"ended", 0}}};

void shard_stop_parts(struct shard *s)
{
    recovery_stop(&s->recovery);
    loading_stop(&s->loading);
    retire_stop(&s->retire);
    stream_watch_stop(&s->watch);
    batch_loop_stop(&s->batch_loop);
    stream_reader_stop(&s->reader);
}

void shard_restart(struct shard *s, bool delay)
{
    if (s->state == SHARD_RELEASING || s->state == SHARD_ENDED)
        return;
    if (s->state != SHARD_OFFLINE)
        machine_go(&SHARD_MACHINE, s->state, SHARD_OFFLINE);
    s->generation++;
    /* The lease is not renewed meanwhile: while this process cannot work, another one may. */
    s->ledger.owned = false;
    s->loading.sums_left = s->loading.sums_left || s->batch_loop.pending.events > 0;
    shard_stop_parts(s);
    uv_timer_start(&s->retry, shard_on_retry,
                   delay ? backoff_next_ms(&s->backoff, backoff_random()) : 0, 0);
}

void shard_fail(void *shard, const char *step, const struct err *error)
{
    struct shard *s = shard;
    uint64_t suppressed;
    /* A lost peer is logged where it is lost, once. */
    if (error->kind != ERR_CLOSED && error->kind != ERR_CANCELED &&
        log_repeat_failed(&s->refused, clock_monotonic_ms(), &suppressed))
        log_error(stream_step_failed, LOG_STR("stream", s->stream), LOG_STR("step", step),
                  LOG_U64("held_back", suppressed), LOG_STR("sqlstate", error->sqlstate),
                  LOG_ERR(error));
    shard_restart(s, true);
}

/* A wrong schema is logged by members.c, which asks for it too. */
static void on_schema(void *owner, const struct err *error)
{
    struct shard *s = owner;
    if (closing_has_begun(&s->closing))
        return;
    s->schema_ok = !error;
    if (!error || s->leaving)
        shard_try(s);
    else
        uv_timer_start(&s->retry, shard_on_retry, SCHEMA_RETRY_MS, 0);
}

void shard_ask_schema(struct shard *s)
{
    if (pg_is_ready(s->pg))
        schema_check(s->pg, on_schema, s);
}

void shard_on_retry(uv_timer_t *timer)
{
    struct shard *s = timer->data;
    if (s->schema_ok)
        shard_try(s);
    else
        shard_ask_schema(s);
}

void shard_on_lease_lost(struct shard *s)
{
    if (s->state < SHARD_OPENING || s->state > SHARD_RUNNING)
        return;
    log_warn(lease_lost, LOG_STR("stream", s->stream));
    loading_forget_table(&s->loading);
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
    if (s->state >= SHARD_OPENING && s->state <= SHARD_RUNNING && !closing_has_begun(&s->closing))
        shard_restart(s, false);
}

/* Another process has the stream. --once asks again for a while, since that may be a dead one,
 * whose lease lasts 3 s. */
static void wait_for_lease(struct shard *s)
{
    machine_go(&SHARD_MACHINE, s->state, SHARD_OFFLINE);
    if (!s->spec.config->once) {
        shard_leave(s);
        return;
    }
    if (s->lease_asked_ms == 0)
        s->lease_asked_ms = clock_monotonic_ms();
    if (clock_monotonic_ms() - s->lease_asked_ms > ONCE_LEASE_WAIT_MS) {
        log_error(lease_refused, LOG_STR("stream", s->stream),
                  LOG_MSG("this run with --once ends: another aggregator works on the stream and "
                          "counts it, so "
                          "nothing is lost"));
        s->spec.events.finished(s->spec.events.owner, s, EXIT_FAILED);
        return;
    }
    uv_timer_start(&s->retry, shard_on_retry, LEASE_RETRY_MS, 0);
}

static void take_lease(void *owner, const struct err *error)
{
    struct shard *s = owner;
    if (s->state != SHARD_LEASING) {
        shard_try(s); /* it waited for this answer to an earlier question */
    } else if (error) {
        shard_fail(s, "lease", error);
    } else if (!s->ledger.owned) {
        wait_for_lease(s);
    } else {
        s->lease_asked_ms = 0;
        machine_go(&SHARD_MACHINE, s->state, SHARD_OPENING);
        s->spec.events.lease_taken(s->spec.events.owner);
        recovery_run(&s->recovery);
    }
}

/* The answer to an earlier question may still be on its way: it calls back here. */
void shard_try(void *shard)
{
    struct shard *s = shard;
    if (s->state == SHARD_OFFLINE && s->leaving) {
        shard_drain(s);
        return;
    }
    if (s->state != SHARD_OFFLINE || s->ledger.done || !s->schema_ok || !pg_is_ready(s->pg) ||
        !shard_has_redis(s))
        return;
    uv_timer_stop(&s->retry);
    machine_go(&SHARD_MACHINE, s->state, SHARD_LEASING);
    ledger_acquire(&s->ledger, take_lease, s);
}

static void end(struct shard *s)
{
    machine_go(&SHARD_MACHINE, s->state, SHARD_ENDED);
    s->spec.events.ended(s->spec.events.owner, s);
}

static void take_released(void *owner, const struct err *error)
{
    struct shard *s = owner;
    (void)error; /* The lease ends by itself. */
    if (!closing_has_begun(&s->closing))
        end(s);
}

/* What is not folded now waits until another process opens the stream, which may be long. */
static void take_rest(void *owner, const struct err *error)
{
    struct shard *s = owner;
    if (!error && !closing_has_begun(&s->closing) && pg_is_ready(s->pg))
        ledger_release(&s->ledger, take_released, s);
    else
        take_released(s, error);
}

void shard_leave(struct shard *s)
{
    s->leaving = true;
    batch_loop_leave(&s->batch_loop);
    shard_drain(s);
}

void shard_drain(void *shard)
{
    struct shard *s = shard;
    if (s->state == SHARD_RELEASING || s->state == SHARD_ENDED)
        return;
    if (batch_loop_is_writing(&s->batch_loop) || batch_loop_fold_rest(&s->batch_loop))
        return; /* it comes back here, rested */
    if (s->state != SHARD_OFFLINE)
        shard_restart(s, false);
    if (s->ledger.done)
        return; /* shard_try comes back here */
    uv_timer_stop(&s->retry);
    if (s->schema_ok && pg_is_ready(s->pg)) {
        machine_go(&SHARD_MACHINE, s->state, SHARD_RELEASING);
        if (s->loading.sums_left)
            ledger_fold(&s->ledger, (struct ledger_sums){.fold = true}, take_rest, s);
        else
            ledger_release(&s->ledger, take_released, s);
        return;
    }
    end(s);
}
