/* The stage: what its shards share, opened and closed, ready or not. */
#include "aggregator/aggregator.h"
#include "common/clock.h"
#include "common/peer.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POLL_MS = 1000 };

/* Nothing is written into a Redis before it is known whose it is. */
static void on_cache_node(void *owner, struct redis *node)
{
    const struct aggregator *a = owner;

    if (a->entered)
        quota_load_function(node);
}

void aggregator_entered(struct shard *s)
{
    struct aggregator *a = s->process;
    const struct epoch_mark *mark = &s->ledger.position.mark;

    log_repeat_recovered(&s->foreign);
    quota_set_ledger(&a->upkeep.quota, mark->ledger, mark->takeovers);
    if (a->entered)
        return;
    a->entered = true;
    redis_router_each_node(a->cache);
}

static void on_poll(uv_timer_t *timer)
{
    struct aggregator *a = timer->data;

    for (int i = 0; i < a->shards_count; i++) {
        gauges_poll(a->shards[i]);
        durable_poll(a->shards[i]);
        retired_poll(a->shards[i]);
    }
}

static void name_owner(char out[LEASE_OWNER_SIZE])
{
    char pid[16];

    snprintf(pid, sizeof pid, "%d", (int)getpid());
    lease_owner_name(pid, out);
}

static void on_closed(void *owner)
{
    struct aggregator *a = owner;

    if (--a->open_handles > 0 || !a->closing)
        return;
    a->config->stage = NULL;
    strays_done(&a->strays);
    free(a->shards);
    free(a);
}

int aggregator_add_shard(struct aggregator *a, const char *stream, int number, struct err *e)
{
    struct shard *s = shard_open(a, stream, number, e);

    if (s == NULL)
        return -1;
    a->shards = xrealloc(a->shards, (size_t)(a->shards_count + 1) * sizeof *a->shards);
    a->shards[a->shards_count++] = s;
    a->open_handles++;
    return 0;
}

static void remove_shard(struct aggregator *a, const struct shard *s)
{
    int at = 0;

    while (a->shards[at] != s)
        at++;
    memmove(&a->shards[at], &a->shards[at + 1],
            (size_t)(--a->shards_count - at) * sizeof *a->shards);
}

static bool owns_a_stream(void *owner)
{
    const struct aggregator *a = owner;

    for (int i = 0; i < a->shards_count; i++)
        if (a->shards[i]->ledger.owned)
            return true;
    return false;
}

/* Of a stream that was not entered it is not known whose it is. */
static bool counts_a_stream(void *owner)
{
    const struct aggregator *a = owner;

    for (int i = 0; i < a->shards_count; i++)
        if (a->shards[i]->ledger.owned && a->shards[i]->state >= SHARD_LOADING)
            return true;
    return false;
}

/* One of its streams has not been read up to an hour ago, or it is not known whether it was. The
 * database sees what waits with the first batch only. */
static bool is_behind(void *owner)
{
    const struct aggregator *a = owner;
    int64_t now_ms = clock_unix_ms();

    for (int i = 0; i < a->shards_count; i++) {
        const struct position *p = &a->shards[i]->ledger.position;
        struct entry_id last;

        if (a->shards[i]->state != SHARD_RUNNING || entry_id_parse(p->last_id, &last) != 0 ||
            (p->added_seen > position_accounted(p) &&
             entry_id_time_ms(last, now_ms) < now_ms - HOUR_MS))
            return true;
    }
    return false;
}

static void on_upkeep_idle(void *owner)
{
    struct aggregator *a = owner;

    if (a->settling && quota_is_writing(&a->upkeep.quota))
        return;
    if ((a->oldest || a->settling || a->strays.state != STRAYS_IDLE) &&
        !stage_is_draining(a->stage))
        strays_poke(&a->strays);
}

static int start(struct stage *stage, void *owner, struct err *e)
{
    struct config *config = owner;
    uv_loop_t *loop = stage_loop(stage);
    struct aggregator *a = xcalloc(1, sizeof *a);

    config->stage = a;
    a->stage = stage;
    a->config = config;
    a->stream_shards = config->base.stream_shards;
    randombytes_buf(a->key, sizeof a->key);
    name_owner(a->owner);
    a->cache =
        redis_router_open(loop, config->base.redis_url,
                          (struct redis_router_events){.on_node = on_cache_node, .owner = a}, e);
    if (a->cache == NULL)
        return -1;
    uv_timer_init(loop, &a->poll);
    a->poll.data = a;
    uv_timer_start(&a->poll, on_poll, POLL_MS, POLL_MS);
    members_open(&a->members, a);
    upkeep_open(&a->upkeep, loop, config->base.database_url, a->key, counts_a_stream, a);
    a->upkeep.redis = a->cache;
    a->upkeep.retains = !config->once;
    retention_init(&a->upkeep.retention, config->raw_keep_days, config->reject_keep_days);
    a->upkeep.is_behind = is_behind;
    a->upkeep.on_idle = on_upkeep_idle;
    strays_init(&a->strays, a, a->upkeep.pg);
    a->open_handles = 3;
    if (!config->once)
        stage_announce(stage, a->owner);
    else
        stage_give_up_after(stage, config->give_up_after_s);
    return 0;
}

static void drain(void *owner)
{
    struct config *config = owner;
    struct aggregator *a = config->stage;

    members_leave(&a->members);
    for (int i = a->shards_count; i-- > 0;)
        shard_drain(a->shards[i]);
    aggregator_may_end(a);
}

void aggregator_may_end(struct aggregator *a)
{
    if (stage_is_draining(a->stage) && a->shards_count == 0 && a->members.has_left)
        stage_drained(a->stage);
}

void aggregator_shard_ended(struct shard *s)
{
    struct aggregator *a = s->process;

    remove_shard(a, s);
    shard_close(s, on_closed);
    aggregator_may_end(a);
}

void aggregator_shard_finished(struct shard *s, int exit_code)
{
    struct aggregator *a = s->process;

    s->finished = true;
    if (exit_code != EXIT_DONE)
        a->exit_code = exit_code;
    for (int i = 0; i < a->shards_count; i++)
        if (!a->shards[i]->finished)
            return;
    a->settling = true;
    strays_hurry(&a->strays);
    if (!owns_a_stream(a))
        stage_finish(a->stage, a->exit_code);
}

void aggregator_no_strays(struct aggregator *a)
{
    if (a->settling)
        stage_finish(a->stage, a->exit_code);
}

/* --once: what was moved is to be counted too. */
void aggregator_strays_moved(struct aggregator *a)
{
    if (!a->settling)
        return;
    a->settling = false;
    for (int i = 0; i < a->shards_count; i++)
        if (a->shards[i]->number >= 0 && a->shards[i]->ledger.owned) {
            a->shards[i]->finished = false;
            shard_restart(a->shards[i], false);
        }
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_closed(handle->data);
}

/* Its answers go to the quota cache's writer, which upkeep owns: it goes last. */
static void on_cache_closed(void *owner)
{
    struct aggregator *a = owner;

    upkeep_close(&a->upkeep, on_closed, a);
}

static void close_all(void *owner)
{
    struct config *config = owner;
    struct aggregator *a = config->stage;

    a->closing = true;
    upkeep_stop(&a->upkeep);
    for (int i = 0; i < a->shards_count; i++)
        shard_close(a->shards[i], on_closed);
    uv_close((uv_handle_t *)&a->poll, on_timer_closed);
    members_close(&a->members, on_closed, a);
    redis_router_close(a->cache, on_cache_closed, a);
}

static bool ready(void *owner, struct buf *why)
{
    struct config *config = owner;
    const struct aggregator *a = config->stage;
    size_t before = why->length;
    bool redis_up = redis_router_is_up(a->cache);
    bool pg_up = pg_is_up(a->members.pg);

    for (int i = 0; i < a->shards_count; i++) {
        redis_up = redis_up && shard_has_redis(a->shards[i]);
        pg_up = pg_up && pg_is_up(a->shards[i]->pg);
    }
    if (!redis_up)
        peer_add_why(PEER_REDIS, why);
    for (int i = 0; i < a->shards_count; i++)
        if (a->shards[i]->unfit != NULL)
            buf_printf(why, "redis: %s: %s\n", a->shards[i]->stream, a->shards[i]->unfit);
    for (int i = 0; i < a->shards_count; i++)
        if (a->shards[i]->foreign_ledger[0] != '\0')
            buf_printf(why, "redis: %s belongs to ledger %s\n", a->shards[i]->stream,
                       a->shards[i]->foreign_ledger);
    if (!pg_up)
        peer_add_why(PEER_POSTGRES, why);
    else if (!a->members.schema_ok)
        buf_add_str(why, "postgres: the schema is not current\n");
    return why->length == before;
}

static void scrape(void *owner)
{
    struct config *config = owner;
    struct aggregator *a = config->stage;

    const struct catalog *catalog = NULL;

    for (int i = 0; i < a->shards_count; i++) {
        gauges_scrape(a->shards[i]);
        if (!catalog && a->shards[i]->dedupe)
            catalog = a->shards[i]->ledger.catalog;
    }
    if (catalog)
        gauges_scrape_metrics(catalog);
}

const struct stage_spec AGGREGATOR_STAGE = {
    .name = "aggregator",
    .program = "meterline-aggregator",
    .what = "Counts usage events of Redis streams into PostgreSQL, each exactly once.",
    .settings = AGGREGATOR_SETTINGS,
    .check = config_check,
    .start = start,
    .drain = drain,
    .close = close_all,
    .ready = ready,
    .scrape = scrape,
};
