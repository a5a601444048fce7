/* Misrouted entries: those that came to the stream of another shard, as while services change to
 * another number of shards. Each is kept as rejected with the reason wrong_shard, and then added to
 * its tenant's own stream, with its id and its time. One without an id gets the id that it has by
 * default (event_id.h), so that it still counts once if a process dies in between and it is added
 * twice. */
#ifndef METERLINE_MISROUTED_H
#define METERLINE_MISROUTED_H

#include "common/pg/pg.h"
#include "common/redis/redis_router.h"

#include <stdbool.h>
#include <stdint.h>

enum misrouted_state {
    MISROUTED_IDLE,
    MISROUTED_READING,
    MISROUTED_ADDING,
    MISROUTED_ADDED,
    MISROUTED_NOTING
};

struct misrouted_events {
    void (*moved)(void *owner); /* all that were found are in their own streams now */
    void (*none)(void *owner);
    void *owner;
};

struct misrouted {
    struct pg *pg;              /* borrowed: taken when it is free */
    struct redis_router *redis; /* borrowed */
    int64_t shards;             /* how many there are; the owner's to set */
    struct misrouted_events events;
    enum misrouted_state state;
    PGresult *rows; /* being added */
    int replies_left;
    int found;   /* when last looked: -1 if it could not be told */
    bool failed; /* one could not be added: all of them are, once more, later */
    int64_t due_ms;
};

void misrouted_init(struct misrouted *m, struct pg *pg, struct redis_router *redis,
                    struct misrouted_events events);
void misrouted_done(struct misrouted *m);
/* A step, if there is one to do and the connection is free. Call it often. */
void misrouted_poke(struct misrouted *m);
/* Look again at once. */
void misrouted_hurry(struct misrouted *m);

#endif
