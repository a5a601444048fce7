/* Which streams this process takes and which it hands over, at each heartbeat.
 *
 * Each process has a share, by how many run and which joined before it: the shares are even and add
 * up to all, so nobody has to be asked. Who has more than its share hands the surplus over: the
 * batch in hand is finished, the lease given back. Who has less takes streams that are nobody's or
 * whose lease has ended, as those of a process that died. Nobody takes more than its share, so that
 * a stream handed over does not come back. */
#include "aggregator/spread.h"

#include "aggregator/aggregator.h"
#include "common/clock.h"
#include "common/contract.h"

#include <stdio.h>
#include <string.h>

void spread_name_stream(int64_t number, int64_t shards, char out[STREAM_NAME_SIZE])
{
    if (shards == 1)
        snprintf(out, STREAM_NAME_SIZE, "%s", STREAM_KEY);
    else
        snprintf(out, STREAM_NAME_SIZE, STREAM_SHARD_KEY, (int)number);
}

static struct shard *find_shard(const struct aggregator *a, const char *stream)
{
    for (int i = 0; i < a->shards_count; i++)
        if (strcmp(a->shards[i]->stream, stream) == 0)
            return a->shards[i];
    return NULL;
}

static const struct known_stream *find_known(const struct beat *beat, const char *stream)
{
    for (int i = 0; i < beat->streams_count; i++)
        if (strcmp(beat->streams[i].name, stream) == 0)
            return &beat->streams[i];
    return NULL;
}

static int64_t count_held(const struct aggregator *a)
{
    int64_t held = 0;

    for (int i = 0; i < a->shards_count; i++)
        held += a->shards[i]->number >= 0 && !a->shards[i]->leaving;
    return held;
}

static void add_window(struct pg_array *windows_s, const struct shard *s)
{
    if (s->state == SHARD_RUNNING)
        pg_array_add_i64(windows_s, dedupe_window_ms(s->dedupe) / 1000);
    else
        pg_array_add_null(windows_s);
}

void spread_list_owned(struct aggregator *a, struct pg_array *streams, struct pg_array *windows_s)
{
    for (int i = 0; i < a->shards_count; i++) {
        struct shard *s = a->shards[i];

        s->renewed = s->ledger.owned;
        s->renewed_generation = s->generation;
        s->renewed_batches = s->ledger.position.batches;
        if (!s->renewed)
            continue;
        pg_array_add_text(streams, s->stream);
        add_window(windows_s, s);
    }
}

void spread_list_current(struct aggregator *a, struct pg_array *streams)
{
    int64_t shards = a->stream_shards;
    char stream[STREAM_NAME_SIZE];

    for (int64_t i = 0; i < shards; i++) {
        spread_name_stream(i, shards, stream);
        pg_array_add_text(streams, stream);
    }
}

/* A lease that was ours when the heartbeat left, and was found to be another's. */
static void notice_lost(struct aggregator *a, const struct beat *beat)
{
    for (int i = a->shards_count; i-- > 0;) {
        struct shard *s = a->shards[i];
        const struct known_stream *known = find_known(beat, s->stream);

        if (s->renewed && s->renewed_generation == s->generation && s->ledger.owned &&
            (known == NULL || !known->mine))
            shard_on_lease_lost(s);
    }
}

void spread_take_renewed(struct aggregator *a, const char *stream, int64_t batches)
{
    for (int i = 0; i < a->shards_count; i++) {
        struct shard *s = a->shards[i];
        struct err e;

        if (strcmp(s->stream, stream) != 0 || !s->renewed || s->state != SHARD_RUNNING ||
            s->renewed_generation != s->generation || batches >= s->renewed_batches)
            continue;
        err_set(&e, ERR_REFUSED, "PostgreSQL has fewer batches than were committed: %lld of %lld",
                (long long)batches, (long long)s->renewed_batches);
        shard_fail(s, "renew lease", &e);
    }
}

static void hand_over(struct aggregator *a, int64_t surplus)
{
    for (int i = a->shards_count; i-- > 0 && surplus > 0;) {
        struct shard *s = a->shards[i];

        if (s->leaving || s->number < 0)
            continue;
        log_info("stream_handed_over", LOG_STR("stream", s->stream));
        surplus--;
        shard_leave(s);
    }
}

static void take_stream(struct aggregator *a, const char *stream, int number)
{
    struct err e;

    if (aggregator_add_shard(a, stream, number, &e) != 0)
        log_error("step_failed", LOG_STR("stream", stream), LOG_STR("step", "open"), LOG_ERR(&e));
}

static void take_free(struct aggregator *a, const struct beat *beat, int64_t wanted)
{
    int64_t start = spread_start(beat->shards, beat->running, beat->older);
    char stream[STREAM_NAME_SIZE];

    for (int64_t i = 0; i < beat->shards && wanted > 0; i++) {
        int64_t number = (start + i) % beat->shards;
        const struct known_stream *known;

        spread_name_stream(number, beat->shards, stream);
        known = find_known(beat, stream);
        /* One that is ours by name only, as after a lost answer, is as good as free. */
        if ((known != NULL && !known->free && !known->mine) || find_shard(a, stream) != NULL)
            continue;
        take_stream(a, stream, (int)number);
        wanted--;
    }
}

/* The number may have changed since it was looked for. */
static bool is_current(const struct aggregator *a, const char *stream)
{
    char current[STREAM_NAME_SIZE];

    for (int64_t i = 0; i < a->stream_shards; i++) {
        spread_name_stream(i, a->stream_shards, current);
        if (strcmp(current, stream) == 0)
            return true;
    }
    return false;
}

void spread_take_retired(struct aggregator *a, const char *stream)
{
    if (!stage_is_draining(a->stage) && find_shard(a, stream) == NULL && !is_current(a, stream))
        take_stream(a, stream, RETIRED);
}

/* The oldest looks after them: whoever has some and is not goes without. */
static void spread_retired(struct aggregator *a, const struct beat *beat)
{
    if (beat->older == 0) {
        retired_look(a, beat->streams, beat->streams_count);
        return;
    }
    for (int i = a->shards_count; i-- > 0;)
        if (a->shards[i]->number < 0 && !a->shards[i]->leaving)
            shard_leave(a->shards[i]);
}

static void note_waiting(struct aggregator *a, const struct beat *beat)
{
    if (a->shards_count > 0) {
        a->waiting_logged = false;
        return;
    }
    if (!a->waiting_logged)
        log_info("lease_waited", LOG_I64("shards", beat->shards), LOG_I64("running", beat->running),
                 LOG_MSG("other aggregators have all streams; waiting for one to end"));
    a->waiting_logged = true;
}

/* --once wants every stream, and waits a while for those that others have. */
static void take_all(struct aggregator *a, const struct beat *beat)
{
    char stream[STREAM_NAME_SIZE];

    if (a->all_taken)
        return;
    a->all_taken = true;
    for (int64_t i = 0; i < beat->shards; i++) {
        spread_name_stream(i, beat->shards, stream);
        take_stream(a, stream, (int)i);
    }
    for (int i = 0; i < beat->streams_count; i++)
        if (beat->streams[i].retired)
            take_stream(a, beat->streams[i].name, RETIRED);
}

static bool refuse_setting(struct aggregator *a, int64_t shards)
{
    if (a->config->base.stream_shards == 0 || shards == a->config->base.stream_shards)
        return false;
    log_error("setting_refused", LOG_STR("setting", "METERLINE_STREAM_SHARDS"),
              LOG_I64("value", a->config->base.stream_shards), LOG_I64("database", shards),
              LOG_MSG("the database has another number of shards: set that one, or none"));
    stage_finish(a->stage, EXIT_SETTINGS);
    return true;
}

bool spread_has_moved(struct aggregator *a, int64_t shards)
{
    if (shards == a->stream_shards)
        return false;
    if (!refuse_setting(a, shards))
        members_poke(&a->members);
    return true;
}

/* Whoever changed the number took all streams away, so that nothing is counted by the old one any
 * more. What this process has of it ends before it goes by the new one. */
static void follow(struct aggregator *a, int64_t shards)
{
    for (int i = a->shards_count; i-- > 0;)
        if (!a->shards[i]->leaving)
            shard_leave(a->shards[i]);
    if (a->shards_count > 0)
        return; /* the next heartbeat comes back here */
    if (a->stream_shards > 0)
        log_info("shards_followed", LOG_I64("shards", shards), LOG_I64("before", a->stream_shards),
                 LOG_MSG("the database has another number of shards, which is taken on"));
    a->stream_shards = shards;
    a->all_taken = false;
    a->settling = false;
    members_poke(&a->members);
}

void spread_take(struct aggregator *a, const struct beat *beat, bool may_work)
{
    int64_t held, share;

    if (stage_is_draining(a->stage) || refuse_setting(a, beat->shards))
        return;
    if (beat->shards != a->stream_shards) {
        follow(a, beat->shards);
        return;
    }
    notice_lost(a, beat);
    if (a->config->once) {
        take_all(a, beat);
        return;
    }
    if (!may_work)
        return;
    share = spread_share(beat->shards, beat->running, beat->older);
    held = count_held(a);
    if (held > share)
        hand_over(a, held - share);
    else if (held < share)
        take_free(a, beat, share - held);
    a->oldest = beat->older == 0;
    spread_retired(a, beat);
    note_waiting(a, beat);
}
