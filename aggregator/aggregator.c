/* The stage: opens and closes what its shards share, tells whether it is ready, and passes on what
 * the shards report. Which shards there are: fleet.h. */
#include "aggregator/aggregator.h"

#include "aggregator/config.h"
#include "aggregator/fleet/fleet.h"
#include "aggregator/maintenance/maintenance.h"
#include "aggregator/maintenance/misrouted.h"
#include "aggregator/shard/shard_metrics.h"
#include "common/clock.h"
#include "common/closing.h"
#include "common/lease_owner.h"
#include "common/metric_table.h"
#include "common/peer.h"
#include "common/redis/redis_loss.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { POLL_MS = 1000 };

struct aggregator {
    struct stage *stage;
    struct config *config;
    unsigned char key[16];       /* of every hash in this process */
    char name[LEASE_OWNER_SIZE]; /* who it is, in stream_positions */
    struct redis_router *cache;  /* for keys anywhere: the quota cache, misrouted entries */
    struct redis_loss *loss;     /* of the cache */
    struct fleet fleet;
    struct maintenance maintenance;
    struct misrouted misrouted;
    struct shards_shared shared;
    bool settling;   /* --once: all streams are drained; are entries misrouted? */
    uv_timer_t poll; /* of what is watched in the streams */
    int exit_code;   /* --once: of the shards so far */
    struct closing closing;
};

/* Closing. */

static void free_aggregator(void *aggregator)
{
    struct aggregator *a = aggregator;
    a->config->stage = NULL;
    maintenance_done(&a->maintenance);
    misrouted_done(&a->misrouted);
    fleet_done(&a->fleet);
    free(a);
}

/* Its replies go to what maintenance owns and use its connection, which goes last. */
static void on_cache_closed(void *owner)
{
    struct aggregator *a = owner;
    maintenance_close(&a->maintenance, &a->closing);
    closing_part_closed(&a->closing);
}

static void close_all(void *owner)
{
    struct config *config = owner;
    struct aggregator *a = config->stage;
    maintenance_stop(&a->maintenance);
    fleet_close(&a->fleet);
    closing_handle(&a->closing, &a->poll);
    redis_loss_close(a->loss);
    closing_part(&a->closing);
    redis_router_close(a->cache, on_cache_closed, a);
    closing_end(&a->closing);
}

static void may_end(void *owner)
{
    struct aggregator *a = owner;
    if (stage_is_draining(a->stage) && fleet_has_left(&a->fleet))
        stage_drained(a->stage);
}

static void drain(void *owner)
{
    struct config *config = owner;
    fleet_leave(&config->stage->fleet);
    may_end(config->stage);
}

/* What the fleet and its shards tell. */

/* Nothing is written into a Redis before it is known whose it is. */
static void on_cache_node(void *owner, struct redis *node)
{
    const struct aggregator *a = owner;
    if (a->shared.entered)
        quota_load_function(node);
}

static void on_cache_lost(void *owner)
{
    struct aggregator *a = owner;
    quota_heal_anew(&a->maintenance.quota);
    maintenance_poke(&a->maintenance);
}

static void on_entered(void *owner, struct shard *s)
{
    struct aggregator *a = owner;
    const struct epoch_mark *mark = &s->ledger.position.mark;
    quota_set_ledger(&a->maintenance.quota, mark->ledger, mark->takeovers);
    if (a->shared.entered)
        return;
    a->shared.entered = true;
    redis_router_each_node(a->cache);
}

static void on_lease_taken(void *owner)
{
    struct aggregator *a = owner;
    fleet_poke(&a->fleet);
}

static void on_number_moved(void *owner, int64_t shards)
{
    struct aggregator *a = owner;
    fleet_follow(&a->fleet, shards);
}

static void on_renumbered(void *owner, int64_t shards)
{
    struct aggregator *a = owner;
    a->misrouted.shards = a->maintenance.quota.shards = shards;
    a->settling = false;
}

static void on_totals(void *owner, PGresult *rows, int64_t from_ms)
{
    struct aggregator *a = owner;
    quota_take(&a->maintenance.quota, rows, from_ms);
    maintenance_poke(&a->maintenance);
}

static void on_committed(void *owner)
{
    struct aggregator *a = owner;
    maintenance_poke(&a->maintenance);
}

static void on_refused(void *owner, int exit_code)
{
    struct aggregator *a = owner;
    stage_finish(a->stage, exit_code);
}

static void on_finished(void *owner, struct shard *s, int exit_code)
{
    struct aggregator *a = owner;
    s->finished = true;
    if (exit_code != EXIT_DONE)
        a->exit_code = exit_code;
    if (!shard_list_is_finished(&a->fleet.list))
        return;
    a->settling = true;
    misrouted_hurry(&a->misrouted);
    if (!shard_list_owns_one(&a->fleet.list))
        stage_finish(a->stage, a->exit_code);
}

static void on_ended(void *owner, struct shard *s)
{
    struct aggregator *a = owner;
    fleet_drop(&a->fleet, s);
    may_end(a);
}

/* What is done beside the batches. */

static void on_no_misrouted(void *owner)
{
    struct aggregator *a = owner;
    if (a->settling)
        stage_finish(a->stage, a->exit_code);
}

/* --once: what was moved is to be counted too. */
static void on_misrouted_moved(void *owner)
{
    struct aggregator *a = owner;
    if (!a->settling)
        return;
    a->settling = false;
    for (int i = 0; i < a->fleet.list.count; i++) {
        struct shard *s = a->fleet.list.shards[i];
        if (s->number >= 0 && s->ledger.owned) {
            s->finished = false;
            shard_restart(s, false);
        }
    }
}

static void on_poll(uv_timer_t *timer)
{
    struct aggregator *a = timer->data;
    for (int i = 0; i < a->fleet.list.count; i++)
        shard_poll(a->fleet.list.shards[i]);
}

static bool counts_a_stream(void *owner)
{
    const struct aggregator *a = owner;
    return shard_list_counts_one(&a->fleet.list);
}

static bool is_behind(void *owner)
{
    const struct aggregator *a = owner;
    return shard_list_is_behind(&a->fleet.list);
}

static void on_maintenance_idle(void *owner)
{
    struct aggregator *a = owner;
    if (a->settling && quota_is_writing(&a->maintenance.quota))
        return;
    if ((a->fleet.oldest || a->settling || a->misrouted.state != MISROUTED_IDLE) &&
        !stage_is_draining(a->stage))
        misrouted_poke(&a->misrouted);
}

/* The stage. */

static void open_fleet(struct aggregator *a)
{
    a->fleet = (struct fleet){
        .spec = {.loop = stage_loop(a->stage),
                 .config = a->config,
                 .key = a->key,
                 .process = a->name,
                 .shards = a->config->base.stream_shards,
                 .shared = &a->shared,
                 .events = {.lease_taken = on_lease_taken,
                            .entered = on_entered,
                            .number_moved = on_number_moved,
                            .totals = on_totals,
                            .committed = on_committed,
                            .finished = on_finished,
                            .refused = on_refused,
                            .ended = on_ended,
                            .owner = a}},
        .redis = a->cache,
        .closing = &a->closing,
        .events = {
            .refused = on_refused, .renumbered = on_renumbered, .left = may_end, .owner = a}};
    fleet_open(&a->fleet);
}

static void open_maintenance(struct aggregator *a)
{
    const struct config *config = a->config;
    maintenance_open(&a->maintenance, stage_loop(a->stage), config->base.database_url, a->key,
                     counts_a_stream, a);
    a->maintenance.redis = a->cache;
    a->maintenance.retains = !config->once;
    retention_init(&a->maintenance.retention, config->raw_keep_days, config->reject_keep_days);
    a->maintenance.is_behind = is_behind;
    a->maintenance.on_idle = on_maintenance_idle;
    misrouted_init(&a->misrouted, a->maintenance.pg, a->cache,
                   (struct misrouted_events){
                       .moved = on_misrouted_moved, .none = on_no_misrouted, .owner = a});
    a->misrouted.shards = a->maintenance.quota.shards = config->base.stream_shards;
}

static int start(struct stage *stage, void *owner, struct err *e)
{
    struct config *config = owner;
    struct aggregator *a = xcalloc(1, sizeof *a);
    config->stage = a;
    a->stage = stage;
    a->config = config;
    shard_metrics_init();
    randombytes_buf(a->key, sizeof a->key);
    char pid[16];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    lease_owner_name(pid, a->name);
    a->cache =
        redis_router_open(stage_loop(stage), config->base.redis_url,
                          (struct redis_router_events){.on_node = on_cache_node, .owner = a}, e);
    if (!a->cache)
        return -1;
    a->loss = redis_loss_watch(stage_loop(stage), a->cache, on_cache_lost, a);
    /* From the start, since each shard is a part from when it is opened until it is closed. */
    closing_begin(&a->closing, a, free_aggregator, NULL, NULL);
    uv_timer_init(stage_loop(stage), &a->poll);
    a->poll.data = a;
    uv_timer_start(&a->poll, on_poll, POLL_MS, POLL_MS);
    open_fleet(a);
    open_maintenance(a);
    if (!config->once)
        stage_announce(stage, a->name);
    else
        stage_give_up_after(stage, config->give_up_after_s);
    return 0;
}

static bool ready(void *owner, struct buf *why)
{
    struct config *config = owner;
    const struct aggregator *a = config->stage;
    const struct shard_list *list = &a->fleet.list;
    const struct members *members = &a->fleet.members;
    size_t before = why->length;
    if (!redis_router_is_up(a->cache) || !shard_list_has_redis(list))
        peer_add_why(PEER_REDIS, why);
    shard_list_add_why(list, why);
    if (!pg_is_up(members->pg) || !shard_list_has_pg(list))
        peer_add_why(PEER_POSTGRES, why);
    else if (!members->schema_ok)
        buf_add_str(why, "postgres: the schema is not current\n");
    return why->length == before;
}

static void scrape(void *owner)
{
    struct config *config = owner;
    struct aggregator *a = config->stage;
    metric_set(metric_of(METRIC_OF_DEDUPE_TARGET, ""), config->dedupe_window_h * HOUR_MS);
    shard_list_scrape(&a->fleet.list);
    maintenance_scrape(&a->maintenance);
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
