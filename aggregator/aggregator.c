/* The stage: what its shards share, opened and closed, ready or not; and which shards it has: what
 * a heartbeat found is planned (rebalance_plan.h) and carried out here. */
#include "aggregator/aggregator.h"

#include "aggregator/config.h"
#include "aggregator/fleet/members.h"
#include "aggregator/fleet/rebalance_plan.h"
#include "aggregator/fleet/retired_finder.h"
#include "aggregator/fleet/shard_list.h"
#include "aggregator/maintenance/maintenance.h"
#include "aggregator/maintenance/misrouted.h"
#include "common/clock.h"
#include "common/lease_owner.h"
#include "common/peer.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POLL_MS = 1000 };

struct aggregator {
    struct stage *stage;
    struct config *config;
    unsigned char key[16];       /* of every hash in this process */
    char name[LEASE_OWNER_SIZE]; /* who it is, in stream_positions */
    struct redis_router *cache;  /* for keys anywhere: the quota cache, misrouted entries */
    struct members members;
    struct retired_finder retired;
    struct maintenance maintenance;
    struct misrouted misrouted;
    struct shard_list shards; /* the streams that this process works on */
    struct shards_told told;
    int64_t stream_shards; /* how many there are; 0: not known yet */
    bool all_taken;        /* --once: every stream has its shard */
    bool oldest;           /* of those that run: it looks after what is nobody's */
    bool settling;         /* --once: all streams are drained; are entries misrouted? */
    bool waiting_logged;
    uv_timer_t poll;  /* of what is watched in the streams */
    int exit_code;    /* --once: of the shards so far */
    int open_handles; /* shards and what they share, until all is closed */
    bool closing;
};

/* Closing. */

static void on_closed(void *owner)
{
    struct aggregator *a = owner;

    if (--a->open_handles > 0 || !a->closing)
        return;
    a->config->stage = NULL;
    misrouted_done(&a->misrouted);
    free(a->shards.shards);
    free(a);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_closed(handle->data);
}

/* Its answers go to the quota cache's writer, which maintenance owns: it goes last. */
static void on_cache_closed(void *owner)
{
    struct aggregator *a = owner;

    maintenance_close(&a->maintenance, on_closed, a);
}

static void close_all(void *owner)
{
    struct config *config = owner;
    struct aggregator *a = config->stage;

    a->closing = true;
    maintenance_stop(&a->maintenance);
    for (int i = 0; i < a->shards.count; i++)
        shard_close(a->shards.shards[i], on_closed);
    uv_close((uv_handle_t *)&a->poll, on_timer_closed);
    members_close(&a->members, on_closed, a);
    redis_router_close(a->cache, on_cache_closed, a);
}

static void may_end(void *owner)
{
    struct aggregator *a = owner;

    if (stage_is_draining(a->stage) && a->shards.count == 0 && a->members.has_left)
        stage_drained(a->stage);
}

static void drain(void *owner)
{
    struct config *config = owner;
    struct aggregator *a = config->stage;

    members_leave(&a->members);
    for (int i = a->shards.count; i-- > 0;)
        shard_leave(a->shards.shards[i]);
    may_end(a);
}

/* What shards tell. */

/* Nothing is written into a Redis before it is known whose it is. */
static void on_cache_node(void *owner, struct redis *node)
{
    const struct aggregator *a = owner;

    if (a->told.entered)
        quota_load_function(node);
}

static void on_entered(void *owner, struct shard *s)
{
    struct aggregator *a = owner;
    const struct epoch_mark *mark = &s->ledger.position.mark;

    quota_set_ledger(&a->maintenance.quota, mark->ledger, mark->takeovers);
    if (a->told.entered)
        return;
    a->told.entered = true;
    redis_router_each_node(a->cache);
}

static void on_lease_taken(void *owner)
{
    struct aggregator *a = owner;

    members_poke(&a->members);
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
    if (!shard_list_is_finished(&a->shards))
        return;
    a->settling = true;
    misrouted_hurry(&a->misrouted);
    if (!shard_list_owns_one(&a->shards))
        stage_finish(a->stage, a->exit_code);
}

static void on_ended(void *owner, struct shard *s)
{
    struct aggregator *a = owner;

    shard_list_remove(&a->shards, s);
    shard_close(s, on_closed);
    may_end(a);
}

/* The database's number is another one than the setting's: then true. */
static bool refuse_setting(struct aggregator *a, int64_t shards)
{
    if (a->config->base.stream_shards == 0 || shards == a->config->base.stream_shards)
        return false;
    log_error(setting_refused, LOG_STR("setting", "METERLINE_STREAM_SHARDS"),
              LOG_I64("value", a->config->base.stream_shards), LOG_I64("database", shards),
              LOG_MSG("the database has another number of shards: set that one, or none"));
    stage_finish(a->stage, EXIT_SETTINGS);
    return true;
}

static void on_number_moved(void *owner, int64_t shards)
{
    struct aggregator *a = owner;

    if (!refuse_setting(a, shards))
        members_poke(&a->members);
}

/* Which streams it has. */

static void take_stream(struct aggregator *a, const char *stream, int number)
{
    const struct shard_spec spec = {.loop = stage_loop(a->stage),
                                    .config = a->config,
                                    .key = a->key,
                                    .process = a->name,
                                    .shards = a->stream_shards,
                                    .told = &a->told,
                                    .events = {.lease_taken = on_lease_taken,
                                               .entered = on_entered,
                                               .number_moved = on_number_moved,
                                               .totals = on_totals,
                                               .committed = on_committed,
                                               .finished = on_finished,
                                               .refused = on_refused,
                                               .ended = on_ended,
                                               .owner = a}};
    struct err e;
    struct shard *s = shard_open(&spec, stream, number, &e);

    if (s == NULL) {
        log_error(step_failed, LOG_STR("stream", stream), LOG_STR("step", "open"), LOG_ERR(&e));
        return;
    }
    shard_list_add(&a->shards, s);
    a->open_handles++;
}

/* The number may have changed since it was looked for. */
static void on_retired_found(void *owner, const char *stream)
{
    struct aggregator *a = owner;

    if (!stage_is_draining(a->stage) && shard_list_find(&a->shards, stream) == NULL &&
        !stream_name_is_current(stream, a->stream_shards))
        take_stream(a, stream, RETIRED);
}

static void note_waiting(struct aggregator *a, const struct beat *beat)
{
    if (a->shards.count > 0) {
        a->waiting_logged = false;
        return;
    }
    if (!a->waiting_logged)
        log_info(lease_waited, LOG_I64("shards", beat->shards), LOG_I64("running", beat->running),
                 LOG_MSG("other aggregators have all streams; waiting for one to end"));
    a->waiting_logged = true;
}

static void set_stream_shards(struct aggregator *a, int64_t shards)
{
    a->stream_shards = shards;
    a->misrouted.shards = shards;
}

static void follow(struct aggregator *a, int64_t shards)
{
    if (a->shards.count > 0)
        return; /* the next heartbeat comes back here */
    if (a->stream_shards > 0)
        log_info(shards_followed, LOG_I64("shards", shards), LOG_I64("before", a->stream_shards),
                 LOG_MSG("the database has another number of shards, which is taken on"));
    set_stream_shards(a, shards);
    a->all_taken = false;
    a->settling = false;
    members_poke(&a->members);
}

/* Shards end and leave the list meanwhile: held is as the list was when this was planned. */
static void carry_out(struct aggregator *a, const struct rebalance_plan *p,
                      struct shard *const *held, const struct beat *beat)
{
    for (int i = 0; i < p->lost_count; i++)
        shard_on_lease_lost(held[p->lost[i]]);
    for (int i = 0; i < p->hand_over_count; i++) {
        log_info(stream_handed_over, LOG_STR("stream", held[p->hand_over[i]]->stream));
        shard_leave(held[p->hand_over[i]]);
    }
    for (int i = 0; i < p->take_count; i++)
        take_stream(a, p->take[i].name, p->take[i].number);
    for (int i = 0; i < p->give_up_count; i++)
        shard_leave(held[p->give_up[i]]);
    if (p->follow)
        follow(a, beat->shards);
    if (!p->balanced)
        return;
    a->oldest = p->oldest;
    if (p->oldest && retired_finder_is_due(&a->retired))
        for (int i = 0; i < p->retired_count; i++)
            retired_finder_look(&a->retired, &beat->streams[p->retired[i]]);
    note_waiting(a, beat);
}

static struct rebalance_plan make_plan(struct aggregator *a, const struct beat *beat, bool may_work)
{
    struct held_stream *held = xcalloc((size_t)a->shards.count + 1, sizeof *held);
    const struct holding holding = {.shards = a->stream_shards,
                                    .held = held,
                                    .held_count = a->shards.count,
                                    .may_work = may_work,
                                    .once = a->config->once,
                                    .all_taken = a->all_taken};
    struct rebalance_plan plan;

    for (int i = 0; i < a->shards.count; i++) {
        const struct shard *s = a->shards.shards[i];
        held[i] = (struct held_stream){.name = s->stream,
                                       .retired = s->number < 0,
                                       .leaving = s->leaving,
                                       .renewed = shard_is_renewed(s)};
    }
    plan = rebalance_plan(beat, &holding);
    free(held);
    return plan;
}

static void on_beat(void *owner, const struct beat *beat, bool may_work)
{
    struct aggregator *a = owner;
    size_t bytes = (size_t)a->shards.count * sizeof *a->shards.shards;
    struct shard **held;
    struct rebalance_plan plan;

    if (stage_is_draining(a->stage) || refuse_setting(a, beat->shards))
        return;
    held = xmalloc(bytes + 1);
    if (bytes > 0)
        memcpy(held, a->shards.shards, bytes);
    plan = make_plan(a, beat, may_work);
    a->all_taken = a->all_taken || (a->config->once && !plan.follow);
    carry_out(a, &plan, held, beat);
    rebalance_plan_done(&plan);
    free(held);
}

/* --once is none of those that share: it takes what is free and leaves the others their shares. */
static bool on_ask(void *owner, struct pg_array *streams, struct pg_array *windows_s,
                   struct pg_array *current)
{
    struct aggregator *a = owner;

    shard_list_note_renewed(&a->shards, streams, windows_s);
    stream_name_list(a->stream_shards, current);
    return !a->config->once && redis_router_is_up(a->cache);
}

static void on_renewed(void *owner, const char *stream, int64_t batches)
{
    struct aggregator *a = owner;

    shard_list_check_renewed(&a->shards, stream, batches);
}

static void on_schema_refused(void *owner)
{
    on_refused(owner, EXIT_FAILED);
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
    for (int i = 0; i < a->shards.count; i++) {
        struct shard *s = a->shards.shards[i];
        if (s->number >= 0 && s->ledger.owned) {
            s->finished = false;
            shard_restart(s, false);
        }
    }
}

static void on_poll(uv_timer_t *timer)
{
    struct aggregator *a = timer->data;

    for (int i = 0; i < a->shards.count; i++)
        shard_poll(a->shards.shards[i]);
}

static bool counts_a_stream(void *owner)
{
    const struct aggregator *a = owner;

    return shard_list_counts_one(&a->shards);
}

static bool is_behind(void *owner)
{
    const struct aggregator *a = owner;

    return shard_list_is_behind(&a->shards);
}

static void on_maintenance_idle(void *owner)
{
    struct aggregator *a = owner;

    if (a->settling && quota_is_writing(&a->maintenance.quota))
        return;
    if ((a->oldest || a->settling || a->misrouted.state != MISROUTED_IDLE) &&
        !stage_is_draining(a->stage))
        misrouted_poke(&a->misrouted);
}

/* The stage. */

static void name_process(char out[LEASE_OWNER_SIZE])
{
    char pid[16];

    snprintf(pid, sizeof pid, "%d", (int)getpid());
    lease_owner_name(pid, out);
}

static void open_parts(struct aggregator *a, uv_loop_t *loop)
{
    const struct config *config = a->config;
    const char *database_url = config->base.database_url;

    uv_timer_init(loop, &a->poll);
    a->poll.data = a;
    uv_timer_start(&a->poll, on_poll, POLL_MS, POLL_MS);
    members_open(&a->members, loop, database_url, a->name,
                 (struct members_events){.ask = on_ask,
                                         .renewed = on_renewed,
                                         .beat = on_beat,
                                         .refused = on_schema_refused,
                                         .left = may_end,
                                         .owner = a});
    a->retired = (struct retired_finder){.redis = a->cache, .found = on_retired_found, .owner = a};
    maintenance_open(&a->maintenance, loop, database_url, a->key, counts_a_stream, a);
    a->maintenance.redis = a->cache;
    a->maintenance.retains = !config->once;
    retention_init(&a->maintenance.retention, config->raw_keep_days, config->reject_keep_days);
    a->maintenance.is_behind = is_behind;
    a->maintenance.on_idle = on_maintenance_idle;
    misrouted_init(&a->misrouted, a->maintenance.pg, a->cache,
                   (struct misrouted_events){
                       .moved = on_misrouted_moved, .none = on_no_misrouted, .owner = a});
    set_stream_shards(a, config->base.stream_shards);
    a->open_handles = 3;
}

static int start(struct stage *stage, void *owner, struct err *e)
{
    struct config *config = owner;
    struct aggregator *a = xcalloc(1, sizeof *a);

    config->stage = a;
    a->stage = stage;
    a->config = config;
    randombytes_buf(a->key, sizeof a->key);
    name_process(a->name);
    a->cache =
        redis_router_open(stage_loop(stage), config->base.redis_url,
                          (struct redis_router_events){.on_node = on_cache_node, .owner = a}, e);
    if (a->cache == NULL)
        return -1;
    open_parts(a, stage_loop(stage));
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
    size_t before = why->length;

    if (!redis_router_is_up(a->cache) || !shard_list_has_redis(&a->shards))
        peer_add_why(PEER_REDIS, why);
    shard_list_add_why(&a->shards, why);
    if (!pg_is_up(a->members.pg) || !shard_list_has_pg(&a->shards))
        peer_add_why(PEER_POSTGRES, why);
    else if (!a->members.schema_ok)
        buf_add_str(why, "postgres: the schema is not current\n");
    return why->length == before;
}

static void scrape(void *owner)
{
    struct config *config = owner;

    shard_list_scrape(&config->stage->shards);
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
