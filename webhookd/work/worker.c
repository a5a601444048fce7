#include "webhookd/work/worker.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/closing.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/stripe/fetcher.h"
#include "webhookd/context.h"
#include "webhookd/sql.h"
#include "webhookd/statement_list.h"
#include "webhookd/work/event_batch.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEADLINE_MS = 10000,
    /* For events that were put off, those of a process that died, and those that another worker
     * had in hands for a moment: soon after there was work, then ever less often. */
    POLL_FIRST_MS = 20,
    POLL_MS = 1000
};

enum worker_state { RESTING, PICKING, WORKING };

static const struct machine WORKER = {"worker",
                                      {[RESTING] = {"resting", TO(PICKING)},
                                       [PICKING] = {"picking", TO(RESTING) | TO(WORKING)},
                                       [WORKING] = {"working", TO(RESTING) | TO(PICKING)}}};

struct worker {
    const struct context *context;
    struct pg *pg;
    uv_timer_t timer;
    enum worker_state state;
    struct event_batch batch;
    int one_by_one; /* so many events, because PostgreSQL refused them together */
    int picked;
    uint64_t poll_ms;       /* until the next look, if there is nothing */
    struct backoff backoff; /* while PostgreSQL refuses */
    struct log_repeat refused;
    bool woken;   /* while it was busy: there may be more events */
    bool hurried; /* what waits for Stripe is due */
    struct closing closing;
};

static void run_pick(struct worker *w);

static void on_timer(uv_timer_t *timer)
{
    worker_wake(timer->data);
}

static void rest(struct worker *w, uint64_t wait_ms)
{
    machine_go(&WORKER, w->state, RESTING);
    if (!closing_has_begun(&w->closing))
        uv_timer_start(&w->timer, on_timer, wait_ms, 0);
    w->context->on_idle(w->context->owner);
}

static bool may_pick(const struct worker *w)
{
    return !closing_has_begun(&w->closing) && !stage_is_draining(w->context->stage) &&
           w->context->schema_ready && pg_is_ready(w->pg) &&
           !(w->batch.fetcher && fetcher_is_paused(w->batch.fetcher));
}

static void on_batch_done(void *owner, enum event_batch_end end)
{
    struct worker *w = owner;
    if (end == BATCH_SPLIT)
        w->one_by_one = w->picked;
    else if (w->one_by_one > 0)
        w->one_by_one--;
    if ((end == BATCH_ENDED || end == BATCH_SPLIT) && may_pick(w))
        run_pick(w);
    else
        rest(w, end == BATCH_REFUSED ? backoff_next_ms(&w->backoff, backoff_random()) : POLL_MS);
    if (closing_has_begun(&w->closing))
        closing_part_closed(&w->closing);
}

static void take_nothing(void *owner, const struct err *error, PGresult **results, int n)
{
    struct worker *w = owner;
    (void)error, (void)results, (void)n;
    rest(w, w->woken ? 0 : w->poll_ms);
    w->poll_ms = 2 * w->poll_ms < POLL_MS ? 2 * w->poll_ms : POLL_MS;
}

static void pick_failed(struct worker *w, const struct err *error)
{
    uint64_t suppressed;
    if (error->kind == ERR_REFUSED &&
        log_repeat_failed(&w->refused, clock_monotonic_ms(), &suppressed))
        log_error(webhook_pick_failed, LOG_U64("held_back", suppressed), LOG_ERR(error));
    rest(w, error->kind == ERR_REFUSED ? backoff_next_ms(&w->backoff, backoff_random()) : POLL_MS);
}

static void take_pick(void *owner, const struct err *error, PGresult **results, int n)
{
    struct worker *w = owner;
    struct statement_list l = {0};
    if (error) {
        pick_failed(w, error);
        return;
    }
    backoff_reset(&w->backoff);
    if (log_repeat_recovered(&w->refused))
        log_info(webhook_pick_recovered,
                 LOG_MSG("PostgreSQL gives out webhook events again; work resumes"));
    const PGresult *picked = results[n - 1];
    w->picked = PQntuples(picked);
    if (w->picked > 0) {
        w->poll_ms = POLL_FIRST_MS;
        machine_go(&WORKER, w->state, WORKING);
        event_batch_start(&w->batch, picked);
        return;
    }
    statement_list_add(&l, "commit");
    statement_list_run(&l, w->pg, DEADLINE_MS, take_nothing, w);
}

/* With a key, no more than Stripe answers in a moment: the events of a batch end together. */
static int64_t batch_size(const struct worker *w)
{
    if (!w->batch.fetcher)
        return BATCH_MAX;
    int64_t size = webhookd_rate_per_s(w->context->config) / 4;
    return size < 1 ? 1 : size > FETCHED_BATCH_MAX ? FETCHED_BATCH_MAX : size;
}

static void run_pick(struct worker *w)
{
    struct statement_list l = {0};
    machine_go(&WORKER, w->state, PICKING);
    w->woken = w->batch.connection_lost = false;
    statement_list_add(&l, "begin");
    if (w->hurried)
        statement_list_add(&l, SQL_HURRY_EVENTS);
    w->hurried = false;
    statement_list_add(&l, SQL_PICK_EVENTS);
    param_i64(&l, w->one_by_one > 0 ? 1 : batch_size(w));
    statement_list_run(&l, w->pg, DEADLINE_MS, take_pick, w);
}

void worker_wake(struct worker *w)
{
    w->woken = true;
    w->poll_ms = POLL_FIRST_MS;
    if (w->state != RESTING || closing_has_begun(&w->closing))
        return;
    uv_timer_stop(&w->timer);
    if (may_pick(w))
        run_pick(w);
    else
        uv_timer_start(&w->timer, on_timer, POLL_MS, 0);
}

void worker_hurry(struct worker *w)
{
    w->hurried = true;
    worker_wake(w);
}

static void on_up(void *owner)
{
    worker_wake(owner);
}

static void on_down(void *owner, const struct err *error)
{
    struct worker *w = owner;
    (void)error;
    w->batch.connection_lost = true;
}

struct worker *worker_open(const struct context *context, struct fetcher *fetcher,
                           struct limits *limits, int number)
{
    struct worker *w = xcalloc(1, sizeof *w);
    w->context = context;
    w->backoff = BACKOFF(500, 30000);
    w->poll_ms = POLL_FIRST_MS;
    uv_timer_init(stage_loop(context->stage), &w->timer);
    w->timer.data = w;
    char *name = xasprintf("meterline-webhookd-worker-%d", number);
    w->pg = pg_open(stage_loop(context->stage), context->config->base.database_url,
                    "meterline_webhookd", name,
                    (struct pg_events){.on_up = on_up, .on_down = on_down, .owner = w});
    free(name);
    w->batch = (struct event_batch){.pg = w->pg,
                                    .fetcher = fetcher,
                                    .limits = limits,
                                    .live = context->config->stripe_live,
                                    .done = on_batch_done,
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

void worker_close(struct worker *w)
{
    w->batch.closing = true;
    closing_begin(&w->closing, w, free, NULL, NULL);
    if (w->state == WORKING) /* on_batch_done is still to come */
        closing_part(&w->closing);
    closing_handle(&w->closing, &w->timer);
    pg_close(w->pg, closing_part_closed, closing_part(&w->closing));
    closing_end(&w->closing);
}
