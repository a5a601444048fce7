/* Which streams this process works on. What a heartbeat finds (members.h) is planned
 * (rebalance_plan.h) and carried out here: streams are taken, handed over and given up.
 *
 * Retired streams, those of an earlier number of shards, may still be written to for a while. The
 * oldest process looks whether they are there, and counts them like any other stream. Every entry
 * in them belongs elsewhere: see misrouted.h. */
#ifndef METERLINE_FLEET_H
#define METERLINE_FLEET_H

#include "aggregator/fleet/members.h"
#include "aggregator/fleet/shard_list.h"
#include "common/closing.h"
#include "common/redis/redis_router.h"

#include <stdbool.h>
#include <stdint.h>

struct fleet_events {
    /* The process was started with something that it cannot work with; it was logged. */
    void (*refused)(void *owner, int exit_code);
    /* There is another number of shards from now on. */
    void (*renumbered)(void *owner, int64_t shards);
    /* fleet_leave is done: maybe from inside it. */
    void (*left)(void *owner);
    void *owner;
};

struct fleet {
    struct shard_spec spec;     /* of every shard; its shards: how many there are, 0: not known */
    struct redis_router *redis; /* borrowed: closed before this is freed */
    struct closing *closing;    /* borrowed: every shard is a part of it */
    struct fleet_events events;
    struct members members;
    struct shard_list list; /* the streams that this process works on */
    bool all_taken;         /* --once: every stream has its shard */
    bool oldest; /* of the processes that run: it looks after retired streams and misrouted entries
                  */
    bool waiting_logged;
    int64_t look_due_ms; /* monotonic: for retired streams */
};

/* f: spec, redis, closing and events are set. */
void fleet_open(struct fleet *f);
/* Take and hand over at once what is to be taken and handed over. */
void fleet_poke(struct fleet *f);
/* The database may have another number of shards. */
void fleet_follow(struct fleet *f, int64_t shards);
/* That shard has ended. */
void fleet_drop(struct fleet *f, struct shard *s);
/* Take nothing any more, finish what is in hand and tell the others. */
void fleet_leave(struct fleet *f);
bool fleet_has_left(const struct fleet *f);
/* Closes all that it has, as parts of closing; fleet_done frees the rest when they are closed. */
void fleet_close(struct fleet *f);
void fleet_done(struct fleet *f);

#endif
