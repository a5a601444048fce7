/* One worker: one database connection, one event at a time.
 *
 *   RESTING -> PICKING -> WORKING -> PICKING
 *      ^          |          |
 *      +-- none --+          |
 *      +-- connection lost --+
 *
 * The happy path: the event's row is locked (SKIP LOCKED, so that workers and replicas share the
 * work), worked (event_work.h) in the same transaction, and the next one is picked. */
#include "webhookd/work/worker.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/log.h"
#include "webhookd/context.h"
#include "webhookd/sql.h"
#include "webhookd/work/event_work.h"
#include "webhookd/work/fetcher.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEADLINE_MS = 10000,
    POLL_MS = 1000 /* for events put off, and those of a process that died */
};

enum worker_state { RESTING, PICKING, WORKING };

#define TO(state) (1u << (state))
static const unsigned MAY_GO[] = {
    [RESTING] = TO(PICKING),
    [PICKING] = TO(RESTING) | TO(WORKING),
    [WORKING] = TO(RESTING) | TO(PICKING),
};

struct worker {
    const struct context *context;
    struct pg *pg;
    uv_timer_t timer;
    enum worker_state state;
    struct event_work work;
    struct backoff backoff; /* between tries that PostgreSQL refuses */
    struct log_repeat refused;
    bool woken; /* while it was at work: there may be more */
    bool closing;
    int open_parts; /* handles, connections and works that still point here */
};

static void run_pick(struct worker *w);

static void worker_go(struct worker *w, enum worker_state next)
{
    assert(MAY_GO[w->state] & TO(next));
    w->state = next;
}

static void on_timer(uv_timer_t *timer)
{
    worker_wake(timer->data);
}

static void rest(struct worker *w, uint64_t wait_ms)
{
    worker_go(w, RESTING);
    if (!w->closing)
        uv_timer_start(&w->timer, on_timer, wait_ms, 0);
    w->context->on_idle(w->context->owner);
}

static bool may_pick(const struct worker *w)
{
    return !w->closing && !stage_is_draining(w->context->stage) && w->context->schema_ready &&
           pg_is_ready(w->pg) && !(w->work.fetcher && fetcher_is_paused(w->work.fetcher));
}

static void part_closed(struct worker *w)
{
    if (--w->open_parts == 0)
        free(w);
}

static void on_work_done(void *owner, enum event_work_end end)
{
    struct worker *w = owner;
    if (end == WORK_ENDED && may_pick(w))
        run_pick(w);
    else
        rest(w, end == WORK_REFUSED ? backoff_next_ms(&w->backoff, backoff_random()) : POLL_MS);
    part_closed(w);
}

/* Picking. */

static void take_row(struct worker *w, const PGresult *r)
{
    struct job *j = &w->work.job;
    struct err e;
    const char *payload = result_text(r, 0, 3);
    j->attempts = result_i64(r, 0, 2);
    worker_go(w, WORKING);
    w->open_parts++;
    int failed =
        stripe_event_parse(payload ? payload : "", payload ? strlen(payload) : 0, &j->event, &e);
    if (failed) {
        /* It was parsed before it was kept: somebody has changed the row. */
        j->event.root =
            json_pack("{s:s, s:s}", "id", result_text(r, 0, 0), "type", result_text(r, 0, 1));
        j->event.id = stripe_text(j->event.root, "id");
        j->event.type = stripe_text(j->event.root, "type");
        job_say(j, "the payload cannot be read: %.100s", e.text);
        event_work_fail(&w->work);
        return;
    }
    event_work_start(&w->work);
}

static void take_nothing(void *owner, const struct err *error, PGresult **results, int n)
{
    struct worker *w = owner;
    (void)error, (void)results, (void)n;
    rest(w, w->woken ? 0 : POLL_MS);
}

static void pick_failed(struct worker *w, const struct err *error)
{
    uint64_t held;
    if (error->kind == ERR_REFUSED && log_repeat_failed(&w->refused, clock_monotonic_ms(), &held))
        log_error(pick_refused, LOG_U64("held_back", held), LOG_ERR(error));
    rest(w, error->kind == ERR_REFUSED ? backoff_next_ms(&w->backoff, backoff_random()) : POLL_MS);
}

static void take_pick(void *owner, const struct err *error, PGresult **results, int n)
{
    struct worker *w = owner;
    struct script s = {0};
    (void)n;
    if (error) {
        pick_failed(w, error);
        return;
    }
    backoff_reset(&w->backoff);
    if (log_repeat_recovered(&w->refused))
        log_info(pick_recovered, LOG_MSG("events are worked again"));
    if (PQntuples(results[1]) > 0) {
        take_row(w, results[1]);
        return;
    }
    script_add(&s, "commit");
    script_run(&s, w->pg, DEADLINE_MS, take_nothing, w);
}

static void run_pick(struct worker *w)
{
    struct script s = {0};
    worker_go(w, PICKING);
    w->woken = w->work.lost = false;
    script_add(&s, "begin");
    script_add(&s, SQL_PICK_EVENT);
    script_run(&s, w->pg, DEADLINE_MS, take_pick, w);
}

void worker_wake(struct worker *w)
{
    w->woken = true;
    if (w->state != RESTING || w->closing)
        return;
    uv_timer_stop(&w->timer);
    if (may_pick(w))
        run_pick(w);
    else
        uv_timer_start(&w->timer, on_timer, POLL_MS, 0);
}

/* Opening and closing. */

static void on_up(void *owner)
{
    worker_wake(owner);
}

static void on_down(void *owner, const struct err *error)
{
    struct worker *w = owner;
    (void)error;
    w->work.lost = true;
}

struct worker *worker_open(const struct context *context, struct fetcher *fetcher,
                           struct limits *limits, int number)
{
    struct worker *w = xcalloc(1, sizeof *w);
    w->context = context;
    w->backoff = BACKOFF(500, 30000);
    w->open_parts = 2;
    uv_timer_init(stage_loop(context->stage), &w->timer);
    w->timer.data = w;
    char *name = xasprintf("meterline-webhookd-worker-%d", number);
    w->pg = pg_open(stage_loop(context->stage), context->config->base.database_url,
                    "meterline_webhookd", name,
                    (struct pg_events){.on_up = on_up, .on_down = on_down, .owner = w});
    free(name);
    w->work = (struct event_work){.pg = w->pg,
                                  .fetcher = fetcher,
                                  .limits = limits,
                                  .live = context->config->stripe_live,
                                  .done = on_work_done,
                                  .owner = w};
    return w;
}

bool worker_is_idle(const struct worker *w)
{
    return w->state == RESTING;
}

bool worker_is_ready(const struct worker *w)
{
    return pg_is_up(w->pg);
}

static void on_pg_closed(void *owner)
{
    part_closed(owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

void worker_close(struct worker *w)
{
    w->closing = w->work.closing = true;
    pg_close(w->pg, on_pg_closed, w);
    uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}
