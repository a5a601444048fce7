#include "aggregator/fleet/fleet.h"

#include "common/clock.h"
#include "common/stage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_DEADLINE_MS = 5000, LOOK_EVERY_MS = 2000 };

static void take_stream(struct fleet *f, const char *stream, int number)
{
    struct err e;
    struct shard *s = shard_open(&f->spec, stream, number, &e);
    if (!s) {
        log_error(stream_step_failed, LOG_STR("stream", stream), LOG_STR("step", "open"),
                  LOG_ERR(&e));
        return;
    }
    closing_part(f->closing);
    shard_list_add(&f->list, s);
}

void fleet_drop(struct fleet *f, struct shard *s)
{
    shard_list_remove(&f->list, s);
    shard_close(s, closing_part_closed, f->closing);
}

/* Retired streams. */

struct look {
    struct fleet *fleet;
    char stream[STREAM_NAME_SIZE];
};

/* The number may have changed since it was looked for. */
static void take_retired(struct fleet *f, const char *stream)
{
    if (!f->members.leaving && !shard_list_find(&f->list, stream) &&
        !stream_name_is_current(stream, f->spec.shards))
        take_stream(f, stream, RETIRED);
}

static void take_exists(void *owner, const struct err *error, void *reply)
{
    struct look look = *(struct look *)owner;
    const redisReply *r = reply;
    free(owner);
    if (!error && r->type == REDIS_REPLY_INTEGER && r->integer > 0)
        take_retired(look.fleet, look.stream);
}

static void look_for(struct fleet *f, const struct known_stream *stream)
{
    if (stream->pending_sums) {
        take_retired(f, stream->name);
        return;
    }
    struct look *look = xcalloc(1, sizeof *look);
    look->fleet = f;
    snprintf(look->stream, sizeof look->stream, "%s", stream->name);
    size_t length = strlen(look->stream);
    redis_router_command(f->redis, look->stream, length, LOOK_DEADLINE_MS, take_exists, look, 2,
                         (const char *[]){"EXISTS", look->stream}, (const size_t[]){6, length});
}

static void look_for_retired(struct fleet *f, const struct rebalance_plan *p,
                             const struct beat *beat)
{
    int64_t now_ms = clock_monotonic_ms();
    if (now_ms < f->look_due_ms)
        return;
    f->look_due_ms = now_ms + LOOK_EVERY_MS;
    for (int i = 0; i < p->retired_count; i++)
        look_for(f, &beat->streams[p->retired[i]]);
}

/* Heartbeats. */

/* The setting names another number than the database: then true. */
static bool refuse_setting(struct fleet *f, int64_t shards)
{
    int64_t wanted = f->spec.config->base.stream_shards;
    if (wanted == 0 || shards == wanted)
        return false;
    log_error(setting_refused, LOG_STR("setting", "METERLINE_STREAM_SHARDS"),
              LOG_I64("value", wanted), LOG_I64("database", shards),
              LOG_MSG("METERLINE_STREAM_SHARDS differs from the number of shards in the database: "
                      "set that one or none, or change the database by meterctl reshard"));
    f->events.refused(f->events.owner, EXIT_SETTINGS);
    return true;
}

void fleet_follow(struct fleet *f, int64_t shards)
{
    if (!refuse_setting(f, shards))
        fleet_poke(f);
}

static void note_waiting(struct fleet *f, const struct beat *beat)
{
    bool waiting = f->list.count == 0;
    if (waiting && !f->waiting_logged)
        log_info(lease_waited, LOG_I64("shards", beat->shards), LOG_I64("running", beat->running),
                 LOG_MSG("other aggregators have all streams; waiting for one to end"));
    f->waiting_logged = waiting;
}

static void take_number(struct fleet *f, int64_t shards)
{
    if (f->list.count > 0)
        return; /* the next heartbeat comes back here */
    if (f->spec.shards > 0)
        log_info(shard_count_followed, LOG_I64("shards", shards), LOG_I64("before", f->spec.shards),
                 LOG_MSG("the number of shards in the database has changed; this process goes by "
                         "it from now on"));
    f->spec.shards = shards;
    f->all_taken = false;
    f->events.renumbered(f->events.owner, shards);
    fleet_poke(f);
}

/* Shards end and leave the list meanwhile: held is as the list was when this was planned. */
static void carry_out(struct fleet *f, const struct rebalance_plan *p, struct shard *const *held,
                      const struct beat *beat)
{
    for (int i = 0; i < p->lost_count; i++)
        shard_on_lease_lost(held[p->lost[i]]);
    for (int i = 0; i < p->hand_over_count; i++) {
        log_info(stream_handed_over, LOG_STR("stream", held[p->hand_over[i]]->stream));
        shard_leave(held[p->hand_over[i]]);
    }
    for (int i = 0; i < p->take_count; i++)
        take_stream(f, p->take[i].name, p->take[i].number);
    for (int i = 0; i < p->give_up_count; i++)
        shard_leave(held[p->give_up[i]]);
    if (p->follow)
        take_number(f, beat->shards);
    if (!p->balanced)
        return;
    f->oldest = p->oldest;
    if (p->oldest)
        look_for_retired(f, p, beat);
    note_waiting(f, beat);
}

static struct rebalance_plan make_plan(const struct fleet *f, const struct beat *beat,
                                       bool may_work)
{
    struct held_stream *held = xcalloc((size_t)f->list.count + 1, sizeof *held);
    for (int i = 0; i < f->list.count; i++) {
        const struct shard *s = f->list.shards[i];
        held[i] = (struct held_stream){.name = s->stream,
                                       .retired = s->number < 0,
                                       .leaving = s->leaving,
                                       .renewed = shard_is_renewed(s)};
    }
    struct rebalance_plan plan =
        rebalance_plan(beat, &(struct holding){.shards = f->spec.shards,
                                               .held = held,
                                               .held_count = f->list.count,
                                               .may_work = may_work,
                                               .once = f->spec.config->once,
                                               .all_taken = f->all_taken});
    free(held);
    return plan;
}

static void on_beat(void *owner, const struct beat *beat, bool may_work)
{
    struct fleet *f = owner;
    if (f->members.leaving || refuse_setting(f, beat->shards))
        return;
    size_t count = (size_t)f->list.count;
    struct shard **held = xcalloc(count + 1, sizeof *held);
    if (count > 0)
        memcpy(held, f->list.shards, count * sizeof *held);
    struct rebalance_plan plan = make_plan(f, beat, may_work);
    f->all_taken = f->all_taken || (f->spec.config->once && !plan.follow);
    carry_out(f, &plan, held, beat);
    rebalance_plan_done(&plan);
    free(held);
}

/* --once is none of those that share: it takes what is free and leaves the others their shares. */
static bool on_ask(void *owner, struct pg_array *streams, struct pg_array *windows_s,
                   struct pg_array *current)
{
    struct fleet *f = owner;
    shard_list_note_renewed(&f->list, streams, windows_s);
    stream_name_list(f->spec.shards, current);
    return !f->spec.config->once && redis_router_is_up(f->redis);
}

static void on_renewed(void *owner, const char *stream, int64_t batches)
{
    struct fleet *f = owner;
    shard_list_check_renewed(&f->list, stream, batches);
}

static void on_schema_refused(void *owner)
{
    struct fleet *f = owner;
    f->events.refused(f->events.owner, EXIT_FAILED);
}

static void on_left(void *owner)
{
    struct fleet *f = owner;
    f->events.left(f->events.owner);
}

void fleet_poke(struct fleet *f)
{
    members_poke(&f->members);
}

void fleet_open(struct fleet *f)
{
    members_open(&f->members, f->spec.loop, f->spec.config->base.database_url, f->spec.process,
                 (struct members_events){.ask = on_ask,
                                         .renewed = on_renewed,
                                         .beat = on_beat,
                                         .refused = on_schema_refused,
                                         .left = on_left,
                                         .owner = f});
}

void fleet_leave(struct fleet *f)
{
    members_leave(&f->members);
    for (int i = f->list.count; i-- > 0;)
        shard_leave(f->list.shards[i]);
}

bool fleet_has_left(const struct fleet *f)
{
    return f->list.count == 0 && f->members.has_left;
}

void fleet_close(struct fleet *f)
{
    for (int i = 0; i < f->list.count; i++)
        shard_close(f->list.shards[i], closing_part_closed, f->closing);
    members_close(&f->members, f->closing);
}

void fleet_done(struct fleet *f)
{
    free(f->list.shards);
}
