/* What the parts of the stage are given and tell. A part never calls the stage that owns it. */
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
    bool schema_ready; /* PostgreSQL has the schema of this build: asked at every connect */
    /* Nothing of a part is in flight any more. */
    void (*on_idle)(void *owner);
    void *owner;
};

#endif
