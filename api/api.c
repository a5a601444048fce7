#include "api/api.h"

#include "api/openapi.h"
#include "api/route_table.h"
#include "api/stripe/stripe_work.h"
#include "api/usage/usage_cache.h"
#include "common/clock.h"
#include "common/contract.h"
#include "common/http/http_client.h"
#include "common/peer.h"
#include "common/str.h"

/* PDFs that are fetched at the same time; what is held of an answer that is none. */
enum { FILES = 32, FILE_HEAD_BYTES = 4096 };

static void check_drained(void *owner)
{
    struct api *a = owner;
    if (a->closed || !stage_is_draining(a->context.stage))
        return;
    if (door_is_idle(a->door) && upkeep_is_idle(a->upkeep))
        stage_drained(a->context.stage);
}

static void on_schema(void *owner, bool ready, int64_t shards)
{
    struct api *a = owner;
    a->context.schema_ready = ready;
    if (ready)
        a->context.shards = shards;
}

int api_start(struct stage *stage, void *owner, struct err *e)
{
    struct api *a = owner;
    uv_loop_t *loop = stage_loop(stage);
    a->context = (struct context){.config = &a->config,
                                  .stage = stage,
                                  .routes = API_ROUTES,
                                  .on_idle = check_drained,
                                  .owner = a};
    uuid_v7(clock_unix_ms(), a->context.instance);
    a->context.redis = redis_router_open(loop, a->config.base.redis_url,
                                         (struct redis_router_events){.owner = a}, e);
    if (!a->context.redis)
        return err_wrap(e, "REDIS_URL");
    a->keys = key_cache_open(&a->context);
    a->door = door_open(&a->context, a->keys, e);
    if (!a->door) {
        redis_router_close(a->context.redis, NULL, NULL);
        key_cache_close(a->keys);
        return -1;
    }
    a->context.pool = pg_pool_open(loop, a->config.base.database_url, API_DB_ROLE, "meterline-api",
                                   (int)a->config.db_connections, (struct pg_events){.owner = a});
    a->context.usage = usage_cache_open(&a->context);
    a->context.stripe = stripe_work_open(&a->context);
    a->context.files =
        http_client_open(loop, "meterline-api/" METERLINE_VERSION, FILES, FILE_HEAD_BYTES);
    a->upkeep = upkeep_open(&a->context, on_schema, a);
    stage_announce(stage, a->context.instance);
    return 0;
}

void api_drain(void *owner)
{
    struct api *a = owner;
    door_quiesce(a->door);
    check_drained(a);
}

static void on_pool_closed(void *owner)
{
    struct api *a = owner;
    door_close(a->door);
    key_cache_close(a->keys);
    usage_cache_close(a->context.usage);
    stripe_work_free(a->context.stripe);
    openapi_done();
}

static void on_redis_closed(void *owner)
{
    struct api *a = owner;
    pg_pool_close(a->context.pool, on_pool_closed, a);
}

static void on_files_closed(void *owner)
{
    struct api *a = owner;
    redis_router_close(a->context.redis, on_redis_closed, a);
}

static void on_stripe_closed(void *owner)
{
    struct api *a = owner;
    http_client_close(a->context.files, on_files_closed, a);
}

/* One after the other: closing a connection answers what is in flight, and an answer may still ask
 * the next one. */
void api_close(void *owner)
{
    struct api *a = owner;
    a->closed = true;
    a->context.is_closing = true;
    upkeep_close(a->upkeep);
    stripe_work_close(a->context.stripe, on_stripe_closed, a);
}

bool api_ready(void *owner, struct buf *why)
{
    struct api *a = owner;
    bool ready = upkeep_is_ready(a->upkeep, why);
    if (!pg_pool_is_up(a->context.pool))
        peer_add_why(PEER_POSTGRES, why);
    if (!redis_router_is_up(a->context.redis))
        peer_add_why(PEER_REDIS, why);
    stripe_work_add_why(a->context.stripe, why);
    ready = door_is_ready(a->door, why) && ready;
    return ready && pg_pool_is_up(a->context.pool) && redis_router_is_up(a->context.redis);
}
