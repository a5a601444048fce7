/* What a shard is made of, its connections and its parts: how they are opened, wired together and
 * closed, and what follows from what they report. */
#include "aggregator/shard/shard.h"

#include "aggregator/shard/pending_reply.h"
#include "aggregator/shard/shard_metrics.h"
#include "common/clock.h"
#include "common/metrics.h"
#include "common/stage.h"

#include <assert.h>
#include <stdio.h>
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
    shard_metrics_count_batch(s->stream, b, s->ledger.position.last_id, commit_us,
                              clock_monotonic_us() - s->reader.taken_since_us);
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
        log_error(redis_unfit, LOG_STR("stream", s->stream), LOG_MSG(unfit));
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

/* Connections. */

static void on_pg_up(void *owner)
{
    struct shard *s = owner;
    s->schema_ok = false;
    shard_ask_schema(s);
}

static void on_pg_down(void *owner, const struct err *error)
{
    struct shard *s = owner;
    (void)error;
    s->schema_ok = false;
    if (s->state != SHARD_OFFLINE && !closing_has_begun(&s->closing))
        shard_restart(s, false);
}

static void on_redis_down(void *owner, const struct err *error)
{
    struct shard *s = owner;
    (void)error;
    if (!s->retire.begun) /* then it was our own doing */
        shard_on_redis_down(s);
}

static void on_due(void *owner)
{
    struct shard *s = owner;
    batch_loop_poke(&s->batch_loop);
}

static void on_more(void *owner)
{
    struct shard *s = owner;
    batch_loop_parse_ahead(&s->batch_loop);
}

static void on_empty(void *owner)
{
    struct shard *s = owner;
    struct dedupe_stats stats = dedupe_stats(s->loading.dedupe);
    if (batch_loop_fold_rest(&s->batch_loop) || !s->spec.config->once)
        return;
    log_info(stream_caught_up, LOG_STR("stream", s->stream), LOG_U64("dedupe_keys", stats.keys),
             LOG_U64("dedupe_bytes", stats.used_bytes));
    if (s->number < 0 && s->spec.config->stream_keep_s == 0)
        shard_retire(s);
    else
        s->spec.events.finished(s->spec.events.owner, s, EXIT_DONE);
}

static void on_read_failed(void *owner, const struct err *error)
{
    shard_fail(owner, "read stream", error);
}

static struct stream_reader_spec reader_of(struct shard *s)
{
    const struct config *config = s->spec.config;
    return (struct stream_reader_spec){.stream = s->stream,
                                       .batch_max = (uint32_t)config->batch_max,
                                       .flush_ms = config->flush_ms,
                                       .once = config->once,
                                       .on_due = on_due,
                                       .on_empty = on_empty,
                                       .on_more = on_more,
                                       .on_failed = on_read_failed,
                                       .owner = s};
}

/* In a cluster both go to the node of the stream. */
static int open_redis(struct shard *s, uv_loop_t *loop, struct err *e)
{
    const char *url = s->spec.config->base.redis_url;
    const struct redis_events events = {.on_up = shard_try, .on_down = on_redis_down, .owner = s};
    s->commands = redis_open_at(loop, url, s->stream, events, e);
    if (!s->commands)
        return -1;
    s->reading = redis_open_at(loop, url, s->stream, events, e);
    assert(s->reading); /* the URL served commands */
    stream_reader_init(&s->reader, reader_of(s));
    stream_reader_attach(&s->reader, s->reading);
    return 0;
}

struct shard *shard_open(const struct shard_spec *spec, const char *stream, int number,
                         struct err *e)
{
    uv_loop_t *loop = spec->loop;
    struct shard *s = xcalloc(1, sizeof *s);
    s->spec = *spec;
    snprintf(s->stream, sizeof s->stream, "%s", stream);
    if (open_redis(s, loop, e) != 0) {
        free(s);
        return NULL;
    }
    s->label = xasprintf("stream=\"%s\"", stream);
    s->queue_label = xasprintf("queue=\"%s\"", stream);
    s->number = number;
    s->backoff = BACKOFF(200, 5000);
    uv_timer_init(loop, &s->retry);
    s->retry.data = s;
    s->pg = pg_open(loop, s->spec.config->base.database_url, "meterline_aggregator",
                    "meterline-aggregator ledger",
                    (struct pg_events){.on_up = on_pg_up, .on_down = on_pg_down, .owner = s});
    ledger_init(&s->ledger, s->pg, s->stream, s->spec.process);
    shard_init_parts(s);
    return s;
}

static void free_shard(void *shard)
{
    struct shard *s = shard;
    metrics_forget(s->label);
    metrics_forget(s->queue_label);
    batch_loop_done(&s->batch_loop);
    stream_reader_done(&s->reader);
    ledger_done(&s->ledger);
    loading_done(&s->loading);
    free(s->label);
    free(s->queue_label);
    free(s);
}

void shard_close(struct shard *s, void (*closed)(void *owner), void *owner)
{
    closing_begin(&s->closing, s, free_shard, closed, owner);
    s->ledger.owned = false;
    s->state = SHARD_ENDED;
    s->generation++;
    shard_stop_parts(s);
    closing_handle(&s->closing, &s->retry);
    redis_close(s->reading, closing_part_closed, closing_part(&s->closing));
    redis_close(s->commands, closing_part_closed, closing_part(&s->closing));
    pg_close(s->pg, closing_part_closed, closing_part(&s->closing));
    closing_end(&s->closing);
}
