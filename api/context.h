/* What each part of the stage is given, and what handlers reach by r->context. */
#ifndef METERLINE_API_CONTEXT_H
#define METERLINE_API_CONTEXT_H

#include "api/config.h"
#include "api/route.h"
#include "common/pg/pg_pool.h"
#include "common/redis/redis_router.h"
#include "common/stage.h"

#define API_DB_ROLE "meterline_api"

struct http_client;
struct stripe_work; /* api/stripe */
struct usage_cache; /* api/usage */

struct context {
    const struct config *config;
    struct stage *stage;
    const struct api_route *const *routes; /* tables of them, as API_ROUTES */
    struct pg_pool *pool;                  /* of connections to PostgreSQL */
    struct redis_router *redis;            /* the streams and the quota cache */
    char instance[37];          /* of this process: who works on a request, in api_requests */
    struct usage_cache *usage;  /* what was used, for many who ask */
    struct stripe_work *stripe; /* what is done at Stripe */
    struct http_client *files;  /* for PDFs, which come from elsewhere and without our key */
    bool schema_ready;          /* PostgreSQL has the schema of this build */
    int64_t shards;             /* of the stream, as PostgreSQL says; 0: not known yet */
    bool is_closing;            /* nothing new is begun */
    /* A part has come to rest. */
    void (*on_idle)(void *owner);
    void *owner;
};

#endif
