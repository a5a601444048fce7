/* Entries that came to the stream of another shard, as while services change to another number of
 * shards: each is kept as rejected, reason wrong_shard, and added to its tenant's own stream, with
 * its id and its time. Where it had no id it gets one made of the stream and its entry's id: should
 * it be added twice, since a process died in between, it still counts once. */
#ifndef METERLINE_STRAYS_H
#define METERLINE_STRAYS_H

#include "common/pg.h"
#include "common/redis_router.h"

#include <stdbool.h>
#include <stdint.h>

enum strays_state { STRAYS_IDLE, STRAYS_READING, STRAYS_ADDING, STRAYS_ADDED, STRAYS_NOTING };

struct strays_events {
    void (*moved)(void *owner); /* all that were found are in their own streams now */
    void (*none)(void *owner);
    void *owner;
};

struct strays {
    struct pg *pg;              /* borrowed: taken when it is free */
    struct redis_router *redis; /* borrowed */
    int64_t shards;             /* how many there are; the owner's to set */
    struct strays_events events;
    enum strays_state state;
    PGresult *rows; /* being added */
    int replies_left;
    int found;   /* when last looked: -1 if it could not be told */
    bool failed; /* one could not be added: all of them are, once more, later */
    int64_t due_ms;
};

void strays_init(struct strays *s, struct pg *pg, struct redis_router *redis,
                 struct strays_events events);
void strays_done(struct strays *s);
/* A step, if there is one to do and the connection is free. Call it often. */
void strays_poke(struct strays *s);
/* Look again at once. */
void strays_hurry(struct strays *s);

#endif
