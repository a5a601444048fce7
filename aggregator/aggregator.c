/* The stage: peers opened and closed, ready or not. */
#include "aggregator/aggregator.h"
#include "common/clock.h"
#include "common/contract.h"
#include "common/schema.h"

#include <sodium.h>
#include <stdlib.h>

enum { SCHEMA_RETRY_MS = 1000, POLL_MS = 2000 };

static void on_schema(void *owner, const struct err *error)
{
    struct aggregator *a = owner;
    uint64_t held;

    if (a->closing)
        return;
    a->schema_ok = error == NULL;
    if (error == NULL) {
        shard_try(a);
        return;
    }
    if (error->kind == ERR_SCHEMA && !error->retry) {
        log_error("schema_refused", LOG_ERR(error));
        stage_finish(a->stage, EXIT_FAILED);
        return;
    }
    if (error->kind == ERR_SCHEMA && log_repeat_failed(&a->refused, clock_monotonic_ms(), &held))
        log_warn("schema_waited", LOG_U64("held_back", held), LOG_ERR(error));
    uv_timer_start(&a->retry, shard_on_retry, SCHEMA_RETRY_MS, 0);
}

void aggregator_ask_schema(struct aggregator *a)
{
    if (pg_is_ready(a->pg))
        schema_check(a->pg, on_schema, a);
}

static void on_pg_up(void *owner)
{
    struct aggregator *a = owner;

    a->schema_ok = false;
    aggregator_ask_schema(a);
}

static void on_pg_down(void *owner, const struct err *error)
{
    struct aggregator *a = owner;

    (void)error;
    a->schema_ok = false;
    if (a->state != SHARD_OFFLINE && !a->closing)
        shard_restart(a, false);
}

static void on_commands_up(void *owner)
{
    struct aggregator *a = owner;

    quota_load_function(a->commands);
    shard_try(a);
}

static void on_reading_up(void *owner)
{
    shard_try(owner);
}

static void on_redis_down(void *owner, const struct err *error)
{
    struct aggregator *a = owner;

    (void)error;
    if (a->state >= SHARD_OPENING && a->state <= SHARD_RUNNING && !a->closing)
        shard_restart(a, false);
}

static void on_poll(uv_timer_t *timer)
{
    gauges_poll(timer->data);
}

static void on_due(void *owner)
{
    work_start(owner);
}

static void on_empty(void *owner)
{
    struct aggregator *a = owner;

    log_info("stream_drained", LOG_STR("stream", a->stream));
    stage_finish(a->stage, EXIT_DONE);
}

static void on_read_failed(void *owner, const struct err *error)
{
    shard_fail(owner, "read stream", error);
}

static int open_redis(struct aggregator *a, uv_loop_t *loop, struct err *e)
{
    const char *url = a->config->base.redis_url;

    a->commands = redis_open(
        loop, url,
        (struct redis_events){.on_up = on_commands_up, .on_down = on_redis_down, .owner = a}, e);
    if (a->commands == NULL)
        return -1;
    a->reading = redis_open(
        loop, url,
        (struct redis_events){.on_up = on_reading_up, .on_down = on_redis_down, .owner = a}, e);
    return a->reading != NULL ? 0 : -1;
}

static struct feed_spec feed_of(struct aggregator *a)
{
    return (struct feed_spec){.stream = a->stream,
                              .batch_max = (uint32_t)a->config->batch_max,
                              .flush_ms = a->config->flush_ms,
                              .once = a->config->once,
                              .on_due = on_due,
                              .on_empty = on_empty,
                              .on_failed = on_read_failed,
                              .owner = a};
}

static int start(struct stage *stage, void *owner, struct err *e)
{
    struct config *config = owner;
    uv_loop_t *loop = stage_loop(stage);
    struct aggregator *a = xcalloc(1, sizeof *a);

    config->stage = a;
    a->stage = stage;
    a->config = config;
    a->stream = STREAM_KEY;
    a->table_batches = -1;
    a->backoff = BACKOFF(200, 5000);
    randombytes_buf(a->key, sizeof a->key);
    if (open_redis(a, loop, e) != 0)
        return -1;
    work_forget(a);
    uv_timer_init(loop, &a->retry);
    a->retry.data = a;
    uv_timer_init(loop, &a->poll);
    a->poll.data = a;
    uv_timer_start(&a->poll, on_poll, POLL_MS, POLL_MS);
    feed_init(&a->feed, feed_of(a));
    feed_attach(&a->feed, a->reading);
    batch_init(&a->batch, a->stream, 0, 1, a->key);
    a->pg = pg_open(loop, config->base.database_url, "meterline_aggregator",
                    "meterline-aggregator ledger",
                    (struct pg_events){.on_up = on_pg_up, .on_down = on_pg_down, .owner = a});
    ledger_init(&a->ledger, a->pg, a->stream, a->key);
    upkeep_open(&a->upkeep, loop, config->base.database_url, &a->ledger, a->key,
                shard_on_lease_lost, a);
    a->upkeep.redis = a->commands;
    return 0;
}

static void drain(void *owner)
{
    struct config *config = owner;

    shard_drain(config->stage);
}

static void free_aggregator(struct aggregator *a)
{
    a->config->stage = NULL;
    batch_done(&a->batch);
    feed_done(&a->feed);
    ledger_done(&a->ledger);
    dedupe_free(a->dedupe);
    free(a);
}

static void on_closed(void *owner)
{
    struct aggregator *a = owner;

    if (--a->open_handles == 0)
        free_aggregator(a);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_closed(handle->data);
}

/* Its answers go to the quota cache's writer, which upkeep owns: it goes last. */
static void on_commands_closed(void *owner)
{
    struct aggregator *a = owner;

    upkeep_close(&a->upkeep, on_closed, a);
}

static void close_all(void *owner)
{
    struct config *config = owner;
    struct aggregator *a = config->stage;

    a->closing = true;
    a->ledger.owned = false;
    a->state = SHARD_ENDED;
    a->generation++;
    work_forget(a);
    feed_stop(&a->feed);
    a->open_handles = 5;
    uv_close((uv_handle_t *)&a->retry, on_timer_closed);
    uv_close((uv_handle_t *)&a->poll, on_timer_closed);
    redis_close(a->reading, on_closed, a);
    pg_close(a->pg, on_closed, a);
    redis_close(a->commands, on_commands_closed, a);
}

static bool ready(void *owner, struct buf *why)
{
    struct config *config = owner;
    const struct aggregator *a = config->stage;
    size_t before = why->length;

    if (!redis_is_up(a->commands) || !redis_is_up(a->reading))
        buf_add_str(why, "redis: not connected\n");
    if (!pg_is_up(a->pg))
        buf_add_str(why, "postgres: not connected\n");
    else if (!a->schema_ok)
        buf_add_str(why, "postgres: the schema is not current\n");
    return why->length == before;
}

static void scrape(void *owner)
{
    struct config *config = owner;

    gauges_scrape(config->stage);
}

const struct stage_spec AGGREGATOR_STAGE = {
    .name = "aggregator",
    .program = "meterline-aggregator",
    .what = "Counts usage events of a Redis stream into PostgreSQL, each exactly once.",
    .settings = AGGREGATOR_SETTINGS,
    .extra_usage = "  --once          count what is there, commit, and end\n",
    .start = start,
    .drain = drain,
    .close = close_all,
    .ready = ready,
    .scrape = scrape,
};
