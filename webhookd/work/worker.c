#include "webhookd/work/worker.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "common/closing.h"
#include "common/log.h"
#include "common/machine.h"
#include "webhookd/context.h"
#include "webhookd/sql.h"
#include "webhookd/work/event_work.h"
#include "webhookd/work/fetcher.h"

#include <stdlib.h>
#include <string.h>

enum {
    DEADLINE_MS = 10000,
    POLL_MS = 1000 /* for events that were put off, and those of a process that died */
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
    struct event_work work;
    struct backoff backoff; /* while PostgreSQL refuses */
    struct log_repeat refused;
    bool woken; /* while it was busy: there may be more events */
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
           !(w->work.fetcher && fetcher_is_paused(w->work.fetcher));
}

static void on_work_done(void *owner, enum event_work_end end)
{
    struct worker *w = owner;
    if (end == WORK_ENDED && may_pick(w))
        run_pick(w);
    else
        rest(w, end == WORK_REFUSED ? backoff_next_ms(&w->backoff, backoff_random()) : POLL_MS);
    if (closing_has_begun(&w->closing))
        closing_part_closed(&w->closing);
}

static void take_row(struct worker *w, const PGresult *r)
{
    struct job *j = &w->work.job;
    struct err e;
    const char *payload = result_text(r, 0, 3);
    j->attempts = result_i64(r, 0, 2);
    j->received_ms = clock_monotonic_ms() - result_i64(r, 0, 4);
    machine_go(&WORKER, w->state, WORKING);
    if (stripe_event_parse(payload ? payload : "", payload ? strlen(payload) : 0, &j->event, &e)) {
        /* It was parsed before it was stored: somebody has changed the row. */
        j->event.root =
            json_pack("{s:s, s:s}", "id", result_text(r, 0, 0), "type", result_text(r, 0, 1));
        j->event.id = stripe_text(j->event.root, "id");
        j->event.type = stripe_text(j->event.root, "type");
        job_set_why(j, "the stored payload is not a Stripe event: %.100s", e.text);
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
    (void)n;
    if (error) {
        pick_failed(w, error);
        return;
    }
    backoff_reset(&w->backoff);
    if (log_repeat_recovered(&w->refused))
        log_info(webhook_pick_recovered,
                 LOG_MSG("PostgreSQL gives out webhook events again; work resumes"));
    if (PQntuples(results[1]) > 0) {
        take_row(w, results[1]);
        return;
    }
    statement_list_add(&l, "commit");
    statement_list_run(&l, w->pg, DEADLINE_MS, take_nothing, w);
}

static void run_pick(struct worker *w)
{
    struct statement_list l = {0};
    machine_go(&WORKER, w->state, PICKING);
    w->woken = w->work.connection_lost = false;
    statement_list_add(&l, "begin");
    statement_list_add(&l, SQL_PICK_EVENT);
    statement_list_run(&l, w->pg, DEADLINE_MS, take_pick, w);
}

void worker_wake(struct worker *w)
{
    w->woken = true;
    if (w->state != RESTING || closing_has_begun(&w->closing))
        return;
    uv_timer_stop(&w->timer);
    if (may_pick(w))
        run_pick(w);
    else
        uv_timer_start(&w->timer, on_timer, POLL_MS, 0);
}

static void on_up(void *owner)
{
    worker_wake(owner);
}

static void on_down(void *owner, const struct err *error)
{
    struct worker *w = owner;
    (void)error;
    w->work.connection_lost = true;
}

struct worker *worker_open(const struct context *context, struct fetcher *fetcher,
                           struct limits *limits, int number)
{
    struct worker *w = xcalloc(1, sizeof *w);
    w->context = context;
    w->backoff = BACKOFF(500, 30000);
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

void worker_close(struct worker *w)
{
    w->work.closing = true;
    closing_begin(&w->closing, w, free, NULL, NULL);
    if (w->state == WORKING) /* on_work_done is still to come */
        closing_part(&w->closing);
    closing_handle(&w->closing, &w->timer);
    pg_close(w->pg, closing_part_closed, closing_part(&w->closing));
    closing_end(&w->closing);
}
