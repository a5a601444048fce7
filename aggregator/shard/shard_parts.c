/* The parts of a shard: how they are wired together, and what follows from what they report. */
#include "aggregator/shard/shard.h"

#include "aggregator/shard/pending_reply.h"
#include "aggregator/shard/shard_metrics.h"
#include "common/clock.h"
#include "common/stage.h"

#include <stdlib.h>

/* RUNNING. */

static void take_trimmed(void *owner, const struct err *error, const struct trimmed *trimmed)
{
    struct shard *s = pending_reply_owner(owner);
    if (!s)
        return;
    if (error && error->kind == ERR_FENCED) {
        shard_on_lease_lost(s);
    } else if (error) {
        shard_fail(s, "trim", error);
    } else {
        trim_note(&s->ledger.position, trimmed);
        stream_watch_take_trimmed(&s->watch, trimmed);
    }
}

static void run_trim(struct shard *s)
{
    trim_run(s->commands, s->stream, &s->ledger.position, s->spec.config->stream_keep_s * 1000,
             take_trimmed, pending_reply_new(s, &s->generation));
}

static void on_loaded(void *owner)
{
    struct shard *s = owner;
    const struct position *p = &s->ledger.position;
    machine_go(&SHARD_MACHINE, s->state, SHARD_RUNNING);
    s->running_since_ms = clock_monotonic_ms();
    backoff_reset(&s->backoff);
    log_repeat_recovered(&s->refused);
    log_info(stream_opened, LOG_STR("stream", s->stream), LOG_I64("epoch", p->epoch),
             LOG_STR("last_id", p->last_id));
    stream_watch_start(&s->watch);
    batch_loop_start(&s->batch_loop, s->loading.dedupe, entry_id_of(p->repeats_until));
    /* The process before us may have died between COMMIT and this, and a stream may stay quiet. */
    run_trim(s);
    stream_reader_start(&s->reader, entry_id_of(p->last_id));
}

static void on_committed(void *owner, const struct batch *b, int64_t commit_us)
{
    struct shard *s = owner;
    loading_move_window(&s->loading);
    shard_metrics_count_batch(s->stream, b, s->ledger.position.last_id, commit_us);
    run_trim(s);
    s->spec.events.committed(s->spec.events.owner);
}

static void on_totals(void *owner, PGresult *rows, int64_t from_ms)
{
    struct shard *s = owner;
    s->spec.events.totals(s->spec.events.owner, rows, from_ms);
}

static void on_fenced(void *owner, const struct err *error)
{
    struct shard *s = owner;
    log_warn(batch_fenced, LOG_STR("stream", s->stream), LOG_MSG(error->text));
    shard_restart(s, false);
}

static void on_stream_lost(void *owner, const char *why)
{
    struct err e;
    err_set(&e, ERR_REFUSED, "%s", why);
    shard_fail(owner, "watch stream", &e);
}

static void on_retired(void *owner)
{
    struct shard *s = owner;
    log_info(stream_retired, LOG_STR("stream", s->stream));
    if (s->spec.config->once)
        s->spec.events.finished(s->spec.events.owner, s, EXIT_DONE);
    else
        shard_leave(s);
}

static void on_not_at_rest(void *owner)
{
    shard_restart(owner, true);
}

void shard_retire(struct shard *s)
{
    retire_run(&s->retire); /* from now on a lost connection of the reader is our own doing */
    stream_reader_stop(&s->reader);
}

void shard_poll(struct shard *s)
{
    stream_watch_poll(&s->watch);
    if (s->number < 0 && s->state == SHARD_RUNNING && !s->retire.begun &&
        s->batch_loop.state == BATCH_IDLE && !s->ledger.done &&
        retire_is_due(&s->ledger.position, s->running_since_ms,
                      s->spec.config->stream_keep_s * 1000))
        shard_retire(s);
}

/* LOADING. */

static void on_number_moved(void *owner, int64_t shards)
{
    struct shard *s = owner;
    s->spec.events.number_moved(s->spec.events.owner, shards);
}

/* OPENING. */

/* A Redis that was never fit ends the start; one that became unfit is waited for. */
static void on_redis_judged(void *owner, const char *unfit)
{
    struct shard *s = owner;
    struct err e;
    if (!unfit) {
        stream_watch_note_unfit(&s->watch, NULL);
    } else if (s->loading.batches < 0) {
        log_error(redis_refused, LOG_STR("stream", s->stream), LOG_MSG(unfit));
        s->spec.events.refused(s->spec.events.owner, EXIT_FAILED);
    } else {
        err_set(&e, ERR_REFUSED, "this Redis cannot be used: %s", unfit);
        shard_fail(s, "open stream", &e);
    }
}

/* A process that was started with wrong settings ends, and one that has counted before waits: the
 * other ledger may have been the mistake. */
static void on_foreign(void *owner)
{
    struct shard *s = owner;
    if (s->spec.shared->entered)
        shard_restart(s, true);
    else
        s->spec.events.refused(s->spec.events.owner, EXIT_SETTINGS);
}

static void on_recovered(void *owner)
{
    struct shard *s = owner;
    s->spec.events.entered(s->spec.events.owner, s);
    machine_go(&SHARD_MACHINE, s->state, SHARD_LOADING);
    loading_run(&s->loading);
}

static void on_recovery_failed(void *owner, const char *step, const struct err *error)
{
    if (error->kind == ERR_FENCED)
        shard_on_lease_lost(owner);
    else
        shard_fail(owner, step, error);
}

static struct recovery_spec recovery_of(struct shard *s)
{
    return (struct recovery_spec){.ledger = &s->ledger,
                                  .redis = s->commands,
                                  .stream = s->stream,
                                  .config = s->spec.config,
                                  .weakness_logged = &s->spec.shared->weakness,
                                  .events = {.redis_judged = on_redis_judged,
                                             .foreign = on_foreign,
                                             .recovered = on_recovered,
                                             .failed = on_recovery_failed,
                                             .late = shard_try,
                                             .owner = s}};
}

static struct loading_spec loading_of(struct shard *s)
{
    return (struct loading_spec){.ledger = &s->ledger,
                                 .config = s->spec.config,
                                 .key = s->spec.key,
                                 .number = s->number,
                                 .shards = s->spec.shards,
                                 .events = {.loaded = on_loaded,
                                            .number_moved = on_number_moved,
                                            .failed = shard_fail,
                                            .late = shard_try,
                                            .owner = s}};
}

static struct batch_loop_spec batch_loop_of(struct shard *s)
{
    return (struct batch_loop_spec){.stream = s->stream,
                                    .ledger = &s->ledger,
                                    .reader = &s->reader,
                                    .shard = s->number,
                                    .shards = (int)s->spec.shards,
                                    .key = s->spec.key,
                                    .events = {.committed = on_committed,
                                               .totals = on_totals,
                                               .fenced = on_fenced,
                                               .failed = shard_fail,
                                               .rested = shard_drain,
                                               .late = shard_try,
                                               .owner = s}};
}

void shard_init_parts(struct shard *s)
{
    recovery_init(&s->recovery, recovery_of(s));
    loading_init(&s->loading, loading_of(s));
    batch_loop_init(&s->batch_loop, batch_loop_of(s));
    s->retire = (struct retire){.ledger = &s->ledger,
                                .redis = s->commands,
                                .stream = s->stream,
                                .events = {.retired = on_retired,
                                           .not_at_rest = on_not_at_rest,
                                           .failed = shard_fail,
                                           .late = shard_try,
                                           .owner = s}};
    stream_watch_init(&s->watch, (struct stream_watch_spec){.stream = s->stream,
                                                            .config = s->spec.config,
                                                            .redis = s->commands,
                                                            .position = &s->ledger.position,
                                                            .label = s->label,
                                                            .queue_label = s->queue_label,
                                                            .lost = on_stream_lost,
                                                            .owner = s});
}
