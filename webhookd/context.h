/* What each part of the stage is given: the stage's loop, its settings and its connection to Redis.
 * A part never calls the stage that owns it: it reports by a callback. */
#ifndef METERLINE_WEBHOOKD_CONTEXT_H
#define METERLINE_WEBHOOKD_CONTEXT_H

#include "common/redis/redis_router.h"
#include "common/stage.h"
#include "webhookd/config.h"

/* Borrowed by every part for its life. */
struct context {
    const struct config *config;
    struct stage *stage;
    struct redis_router *redis;
    bool schema_ready; /* PostgreSQL has the schema of this build; checked at every connect */
    /* A part has come to rest: it has nothing in flight. */
    void (*on_idle)(void *owner);
    void *owner;
};

#endif
