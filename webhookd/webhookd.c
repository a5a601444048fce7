#include "webhookd/webhookd.h"

#include "common/peer.h"
#include "common/redis/redis_loss.h"
#include "common/stripe/fetcher.h"
#include "webhookd/limits/limit_changes.h"
#include "webhookd/limits/limits.h"
#include "webhookd/limits/limits_sweep.h"
#include "webhookd/receive/receiver.h"
#include "webhookd/work/catch_up.h"
#include "webhookd/work/worker.h"

enum { CALLS_PER_WORKER = 128 /* side by side */ };

/* Redis is back. */
static void hurry_sweep(void *owner)
{
    struct webhookd *d = owner;
    if (d->sweep)
        limits_sweep_hurry(d->sweep);
}

static void fill_cache(void *owner)
{
    struct webhookd *d = owner;
    if (d->sweep)
        limits_sweep_fill(d->sweep);
}

static void on_redis_node(void *owner, struct redis *node)
{
    const struct webhookd *d = owner;
    if (d->limits)
        limits_see_node(d->limits, node);
}

/* Events were stored: workers that rest may look for one. */
static void wake_workers(void *owner)
{
    struct webhookd *d = owner;
    for (int i = 0; i < WORKERS_MAX && d->workers[i]; i++)
        worker_wake(d->workers[i]);
}

/* Any worker will do. */
static void on_stripe_back(void *owner)
{
    struct webhookd *d = owner;
    if (d->workers[0])
        worker_hurry(d->workers[0]);
}

static void on_schema(void *owner, bool ready)
{
    struct webhookd *d = owner;
    d->context.schema_ready = ready;
    if (ready)
        wake_workers(d);
    if (ready && d->catch_up)
        catch_up_wake(d->catch_up);
}

static bool workers_are_idle(const struct webhookd *d)
{
    for (int i = 0; i < d->config.workers; i++)
        if (!worker_is_idle(d->workers[i]))
            return false;
    return true;
}

/* While the stage drains: reports when all parts are at rest. */
static void check_drained(void *owner)
{
    struct webhookd *d = owner;
    if (d->closed || !stage_is_draining(d->context.stage))
        return;
    if (receiver_is_idle(d->receiver) && workers_are_idle(d) &&
        (!d->catch_up || catch_up_is_idle(d->catch_up)) && limits_sweep_is_idle(d->sweep) &&
        limit_changes_are_idle(d->changes) && limits_are_idle(d->limits))
        stage_drained(d->context.stage);
}

static void open_fetcher(struct webhookd *d)
{
    d->access = (struct stripe_access){.key = &d->config.stripe_secret_key,
                                       .base = d->config.stripe_api_base,
                                       .version = d->config.stripe_api_version,
                                       .rate_per_s = webhookd_rate_per_s(&d->config)};
    int64_t workers = d->config.workers > 0 ? d->config.workers : 1; /* catching up reads as well */
    d->fetcher =
        fetcher_open(stage_loop(d->context.stage), &d->access, (int)workers * CALLS_PER_WORKER,
                     (struct fetcher_events){.on_back = on_stripe_back, .owner = d});
}

static void open_parts(struct webhookd *d)
{
    d->limits = limits_new(&d->context);
    if (d->config.stripe_secret_key)
        open_fetcher(d);
    for (int i = 0; i < d->config.workers; i++)
        d->workers[i] = worker_open(&d->context, d->fetcher, d->limits, i + 1);
    if (d->fetcher && d->config.catch_up_interval_s > 0)
        d->catch_up = catch_up_open(&d->context, d->fetcher, wake_workers, d);
    d->sweep = limits_sweep_open(&d->context, d->limits);
    d->changes = limit_changes_open(&d->context, d->limits, d->sweep);
}

int webhookd_start(struct stage *stage, void *owner, struct err *e)
{
    struct webhookd *d = owner;
    const struct receiver_events events = {
        .on_stored = wake_workers, .on_schema = on_schema, .owner = d};
    d->context = (struct context){
        .config = &d->config, .stage = stage, .on_idle = check_drained, .owner = d};
    d->context.redis = redis_router_open(
        stage_loop(stage), d->config.base.redis_url,
        (struct redis_router_events){.on_up = hurry_sweep, .on_node = on_redis_node, .owner = d},
        e);
    if (!d->context.redis)
        return err_wrap(e, "REDIS_URL");
    d->receiver = receiver_open(&d->context, events, e);
    if (!d->receiver) {
        redis_router_close(d->context.redis, NULL, NULL);
        return -1;
    }
    d->loss = redis_loss_watch(stage_loop(stage), d->context.redis, fill_cache, d);
    open_parts(d);
    stage_announce(stage, NULL);
    return 0;
}

void webhookd_drain(void *owner)
{
    struct webhookd *d = owner;
    receiver_quiesce(d->receiver);
    check_drained(d);
}

static void on_redis_closed(void *owner)
{
    limits_free(owner);
}

/* Redis goes before the limits: closing it cancels writes in flight, which still use them. */
void webhookd_close(void *owner)
{
    struct webhookd *d = owner;
    d->closed = true;
    receiver_close(d->receiver);
    for (int i = 0; i < d->config.workers; i++)
        worker_close(d->workers[i]);
    if (d->catch_up)
        catch_up_close(d->catch_up);
    limits_sweep_close(d->sweep);
    limit_changes_close(d->changes);
    if (d->fetcher)
        fetcher_close(d->fetcher);
    redis_loss_close(d->loss);
    redis_router_close(d->context.redis, on_redis_closed, d->limits);
}

bool webhookd_ready(void *owner, struct buf *why)
{
    struct webhookd *d = owner;
    int missing = 0;
    bool ready = receiver_is_ready(d->receiver, why);
    for (int i = 0; i < d->config.workers; i++)
        missing += worker_is_ready(d->workers[i]) ? 0 : 1;
    if (missing > 0)
        buf_printf(why, "postgres: %d workers are not connected\n", missing);
    if (!redis_router_is_up(d->context.redis))
        peer_add_why(PEER_REDIS, why);
    /* Without Stripe the stage is ready all the same: it stores what Stripe delivers. */
    if (d->fetcher)
        fetcher_add_why(d->fetcher, why);
    return ready && missing == 0 && redis_router_is_up(d->context.redis);
}
