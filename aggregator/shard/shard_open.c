/* A shard's connections and memory: opened when the process takes a stream, closed when it gives
 * the stream up. */
#include "aggregator/shard/shard.h"
#include "common/metrics.h"
#include "common/stage.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

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
    log_info(stream_drained, LOG_STR("stream", s->stream), LOG_U64("dedupe_keys", stats.keys),
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

static void open_ledger(struct shard *s, uv_loop_t *loop)
{
    s->pg = pg_open(loop, s->spec.config->base.database_url, "meterline_aggregator",
                    "meterline-aggregator ledger",
                    (struct pg_events){.on_up = on_pg_up, .on_down = on_pg_down, .owner = s});
    ledger_init(&s->ledger, s->pg, s->stream, s->spec.process);
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
    open_ledger(s, loop);
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
