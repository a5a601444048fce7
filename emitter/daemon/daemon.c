#include "emitter/daemon/daemon.h"

#include "common/clock.h"
#include "common/events/metric_names.h"
#include "common/metric_table.h"
#include "common/peer.h"
#include "emitter/daemon/context.h"
#include "emitter/daemon/door.h"
#include "emitter/daemon/outlet_watch.h"

#include <stdio.h>
#include <string.h>

/* A thread that waits for Redis ends 5 s later at the latest: together less than a stage may take.
 */
enum { LOOK_EVERY_MS = 20, KEYS_EVERY_MS = 1000, PATIENCE_MS = 3000, START_MS = 2000 };

/* The happy path of stopping: the listener closes, requests in flight are answered, what is in the
 * spool goes to Redis, the thread that sends it ends, drained. After PATIENCE_MS nothing more is
 * waited for: what is in a spool folder is sent by the next process. */
struct daemon {
    struct daemon_config config; /* first: the stage's owner is its config */
    struct context context;
    struct outlet_watch *watch;
    struct intake *intake;
    struct quota_door *quota;
    struct quota_hold *hold;
    struct door *door;
    struct metric_names *metrics; /* NULL: any */
    struct ai_table *ai_table;    /* NULL: none */
    uv_timer_t keys;              /* looks whether they are others now */
    uv_timer_t look;              /* while it drains */
    uv_work_t stop;               /* of the outlet, which may have to wait for Redis */
    uv_sem_t stopped;
    int64_t started_ms; /* monotonic */
    int64_t until_ms;   /* monotonic; while it drains */
    bool is_stopping;
};

static void on_sent(void *owner)
{
    const struct daemon *d = owner;
    if (d->intake)
        intake_on_sent(d->intake);
}

static void on_keys(uv_timer_t *timer)
{
    const struct daemon *d = timer->data;
    access_set_keys(d->context.access, d->config.keys);
}

/* Starting. */

static struct outlet *open_outlet(struct daemon *d, struct err *e)
{
    const struct daemon_config *c = &d->config;
    return outlet_open(&(struct outlet_terms){.redis_url = c->base.redis_url,
                                              .shards = c->base.stream_shards,
                                              .folder = c->spool,
                                              .max_bytes = (uint64_t)c->spool_max_mb << 20,
                                              .sync = (enum spool_sync)c->sync,
                                              .reads_files = true,
                                              .on_state = outlet_watch_state,
                                              .on_sent = outlet_watch_sent,
                                              .owner = d->watch},
                       e);
}

static void close_parts(struct daemon *d)
{
    if (d->quota)
        quota_door_close(d->quota);
    if (d->context.outlet)
        outlet_stop(d->context.outlet);
    if (d->intake)
        intake_close(d->intake);
    if (d->door)
        door_close(d->door);
    if (d->context.outlet)
        outlet_close(d->context.outlet);
    outlet_watch_close(d->watch);
    /* Calls in flight have it until the loop has run. */
    uv_close((uv_handle_t *)&d->keys, NULL);
    uv_close((uv_handle_t *)&d->look, NULL);
}

static int open_parts(struct daemon *d, struct err *e)
{
    if (d->config.catalog && !(d->metrics = metric_names_load(d->config.catalog, e)))
        return err_wrap(e, "EMITTER_CATALOG");
    if (d->config.catalog && !(d->ai_table = ai_table_load(d->config.catalog, e)))
        return err_wrap(e, "EMITTER_CATALOG");
    d->context.metrics = d->metrics;
    d->context.ai_table = d->ai_table;
    if (!(d->context.outlet = open_outlet(d, e)))
        return err_wrap(e, "EMITTER_SPOOL");
    d->intake = intake_open(&d->context);
    if (!(d->quota = quota_door_open(&d->context, e)))
        return err_wrap(e, "REDIS_URL");
    d->hold = quota_hold_open(&d->context, quota_door_router(d->quota));
    d->door = door_open(&d->context, (struct door_parts){d->intake, d->quota, d->hold}, e);
    return d->door ? 0 : -1;
}

static int daemon_start(struct stage *stage, void *owner, struct err *e)
{
    struct daemon *d = owner;
    d->context = (struct context){
        .config = &d->config, .stage = stage, .access = access_new(d->config.rate_per_s)};
    access_set_keys(d->context.access, d->config.keys);
    uv_timer_init(stage_loop(stage), &d->keys);
    uv_timer_init(stage_loop(stage), &d->look);
    d->started_ms = clock_monotonic_ms();
    d->keys.data = d->look.data = d->stop.data = d;
    uv_timer_start(&d->keys, on_keys, KEYS_EVERY_MS, KEYS_EVERY_MS);
    d->watch = outlet_watch_open(stage_loop(stage), on_sent, d);
    if (open_parts(d, e) == 0)
        return 0;
    close_parts(d);
    return -1;
}

/* Stopping. */

static void stop_outlet(uv_work_t *work)
{
    struct daemon *d = work->data;
    outlet_stop(d->context.outlet);
    uv_sem_post(&d->stopped);
}

static void on_stopped(uv_work_t *work, int status)
{
    struct daemon *d = work->data;
    (void)status;
    stage_drained(d->context.stage);
}

static bool is_idle(const struct daemon *d)
{
    const struct outlet *o = d->context.outlet;
    return door_is_idle(d->door) && delivery_sent(o->delivery) >= spool_appended(o->spool);
}

static void on_look(uv_timer_t *timer)
{
    struct daemon *d = timer->data;
    if (!is_idle(d) && clock_monotonic_ms() < d->until_ms)
        return;
    intake_give_up(d->intake);
    uv_timer_stop(timer);
    d->is_stopping = true;
    uv_sem_init(&d->stopped, 0);
    uv_queue_work(timer->loop, &d->stop, stop_outlet, on_stopped);
}

static void daemon_drain(void *owner)
{
    struct daemon *d = owner;
    door_quiesce(d->door);
    d->until_ms = clock_monotonic_ms() + PATIENCE_MS;
    uv_timer_start(&d->look, on_look, 0, LOOK_EVERY_MS);
}

static void daemon_close(void *owner)
{
    struct daemon *d = owner;
    if (d->is_stopping) {
        uv_sem_wait(&d->stopped);
        uv_sem_destroy(&d->stopped);
    }
    close_parts(d);
}

static bool daemon_ready(void *owner, struct buf *why)
{
    const struct daemon *d = owner;
    bool ready = true;
    if (!quota_door_is_up(d->quota)) {
        peer_add_why(PEER_REDIS, why);
        /* At the start, it may be about to be reached. */
        bool is_starting =
            !quota_door_was_up(d->quota) && clock_monotonic_ms() - d->started_ms < START_MS;
        ready = d->config.spool && !is_starting;
    }
    if (intake_is_full(d->intake)) {
        buf_add_str(why, "spool: it takes no events: it is full, or its disk is\n");
        ready = false;
    }
    if (door_is_crowded(d->door))
        buf_add_str(why, "events: too many clients are connected, and the slowest are cut off\n");
    return ready;
}

static void daemon_scrape(void *owner)
{
    const struct daemon *d = owner;
    if (d->is_stopping)
        return;
    uint64_t appended = spool_appended(d->context.outlet->spool);
    uint64_t sent = delivery_sent(d->context.outlet->delivery);
    metric_set(metric_of(METRIC_OF_SPOOL_BYTES, ""),
               (int64_t)spool_bytes(d->context.outlet->spool));
    metric_set(metric_of(METRIC_OF_SPOOL_WAITING, ""),
               appended > sent ? (int64_t)(appended - sent) : 0);
}

static const struct stage_spec STAGE = {
    .name = "emitter",
    .program = "meterline-emitter",
    .what = "Takes usage events by HTTP and sends them to Redis, and tells gateways about quotas.",
    .settings = DAEMON_SETTINGS,
    .check = daemon_config_check,
    .start = daemon_start,
    .drain = daemon_drain,
    .close = daemon_close,
    .ready = daemon_ready,
    .scrape = daemon_scrape,
};

int daemon_main(int argc, char **argv)
{
    struct daemon daemon = {0};
    bool is_daemon = false;
    const struct stage_flag flags[] = {
        {.name = EMITTER_DAEMON_FLAG, .help = "what makes it one", .value = &is_daemon},
        {.name = NULL}};
    if (outlet_start_process()) {
        fputs("meterline-emitter: libsodium could not be initialised\n", stderr);
        return EXIT_FAILED;
    }
    int code = stage_config(argc, argv, &STAGE, &daemon, flags);
    if (code >= 0)
        return code;
    code = stage_run(&STAGE, &daemon);
    quota_hold_close(daemon.hold);
    metric_names_free(daemon.metrics);
    ai_table_free(daemon.ai_table);
    access_free(daemon.context.access);
    conf_done(DAEMON_SETTINGS, &daemon);
    return code;
}
