#include "aggregator/fleet/rebalance_plan.h"

#include "common/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t rebalance_share(int64_t shards, int64_t running, int64_t older)
{
    if (running <= 0)
        return 0;
    return shards / running + (older < shards % running ? 1 : 0);
}

int64_t rebalance_start(int64_t shards, int64_t running, int64_t older)
{
    return running > 0 && older < running ? older * shards / running : 0;
}

static const struct known_stream *find_known(const struct beat *beat, const char *stream)
{
    for (int i = 0; i < beat->streams_count; i++)
        if (strcmp(beat->streams[i].name, stream) == 0)
            return &beat->streams[i];
    return NULL;
}

static bool is_held(const struct holding *h, const char *stream)
{
    for (int i = 0; i < h->held_count; i++)
        if (strcmp(h->held[i].name, stream) == 0)
            return true;
    return false;
}

static void add_take(struct rebalance_plan *p, const char *stream, int number)
{
    struct taken_stream *taken = &p->take[p->take_count++];
    taken->number = number;
    snprintf(taken->name, sizeof taken->name, "%s", stream);
}

/* Leases that this process had when the heartbeat was sent, and that another one has now. */
static void plan_lost(struct rebalance_plan *p, const struct beat *beat, const struct holding *h)
{
    for (int i = h->held_count; i-- > 0;) {
        const struct known_stream *known = find_known(beat, h->held[i].name);
        if (h->held[i].renewed && (!known || !known->mine))
            p->lost[p->lost_count++] = i;
    }
}

static void plan_follow(struct rebalance_plan *p, const struct holding *h)
{
    p->follow = true;
    for (int i = h->held_count; i-- > 0;)
        if (!h->held[i].leaving)
            p->give_up[p->give_up_count++] = i;
}

static void plan_all(struct rebalance_plan *p, const struct beat *beat, const struct holding *h)
{
    if (h->all_taken)
        return;
    char stream[STREAM_NAME_SIZE];
    for (int64_t i = 0; i < beat->shards; i++) {
        stream_name(i, beat->shards, stream);
        add_take(p, stream, (int)i);
    }
    for (int i = 0; i < beat->streams_count; i++)
        if (beat->streams[i].retired)
            add_take(p, beat->streams[i].name, RETIRED);
}

static int64_t count_held(const struct holding *h)
{
    int64_t count = 0;
    for (int i = 0; i < h->held_count; i++)
        count += !h->held[i].retired && !h->held[i].leaving;
    return count;
}

static void plan_surplus(struct rebalance_plan *p, const struct holding *h, int64_t surplus)
{
    for (int i = h->held_count; i-- > 0 && surplus > 0;)
        if (!h->held[i].leaving && !h->held[i].retired) {
            p->hand_over[p->hand_over_count++] = i;
            surplus--;
        }
}

static void plan_free(struct rebalance_plan *p, const struct beat *beat, const struct holding *h,
                      int64_t wanted)
{
    int64_t start = rebalance_start(beat->shards, beat->running, beat->older);
    char stream[STREAM_NAME_SIZE];
    for (int64_t i = 0; i < beat->shards && wanted > 0; i++) {
        int64_t number = (start + i) % beat->shards;
        stream_name(number, beat->shards, stream);
        const struct known_stream *known = find_known(beat, stream);
        /* After a lost answer a stream may have our name as its owner: it is as good as free. */
        if ((known && !known->free && !known->mine) || is_held(h, stream))
            continue;
        add_take(p, stream, (int)number);
        wanted--;
    }
}

/* The oldest looks after them: whoever has some and is not goes without. */
static void plan_retired(struct rebalance_plan *p, const struct beat *beat, const struct holding *h)
{
    if (p->oldest) {
        for (int i = 0; i < beat->streams_count; i++)
            if (beat->streams[i].retired && beat->streams[i].free)
                p->retired[p->retired_count++] = i;
        return;
    }
    for (int i = h->held_count; i-- > 0;)
        if (h->held[i].retired && !h->held[i].leaving)
            p->give_up[p->give_up_count++] = i;
}

static void plan_share(struct rebalance_plan *p, const struct beat *beat, const struct holding *h)
{
    int64_t share = rebalance_share(beat->shards, beat->running, beat->older);
    int64_t held = count_held(h);
    if (held > share)
        plan_surplus(p, h, held - share);
    else
        plan_free(p, beat, h, share - held);
    p->balanced = true;
    p->oldest = beat->older == 0;
    plan_retired(p, beat, h);
}

struct rebalance_plan rebalance_plan(const struct beat *beat, const struct holding *h)
{
    size_t held = (size_t)h->held_count + 1;
    size_t known = (size_t)beat->streams_count + 1;
    struct rebalance_plan p = {.lost = xcalloc(held, sizeof *p.lost),
                               .hand_over = xcalloc(held, sizeof *p.hand_over),
                               .give_up = xcalloc(held, sizeof *p.give_up),
                               .take = xcalloc((size_t)beat->shards + known, sizeof *p.take),
                               .retired = xcalloc(known, sizeof *p.retired)};
    if (beat->shards != h->shards) {
        plan_follow(&p, h);
        return p;
    }
    plan_lost(&p, beat, h);
    if (h->once)
        plan_all(&p, beat, h);
    else if (h->may_work)
        plan_share(&p, beat, h);
    return p;
}

void rebalance_plan_done(struct rebalance_plan *p)
{
    free(p->lost);
    free(p->hand_over);
    free(p->give_up);
    free(p->take);
    free(p->retired);
}
