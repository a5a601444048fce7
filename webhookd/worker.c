/* One worker: one database connection, one event at a time.
 *
 *   RESTING -> PICKING -> LOCKING -> FETCHING -> READING -> WRITING -> CACHING -> PICKING
 *      ^          |          |          |  ^       |   |       |          |
 *      |          |          |          |  +-------+   |       |          |
 *      +-- none --+          +----------+----> DELAYING <------+          |
 *      +------------------- connection lost, or closing -------------------+
 *
 * The happy path: the event's row is locked (SKIP LOCKED, so that workers and replicas share the
 * work), then its customer; with a key the object is fetched anew; what is stored is read; the
 * effect, the event's end and COMMIT go out as one pipeline; then the tenant's limits are read and
 * cached. A report of no one customer goes from PICKING to FETCHING or WRITING at once. All up to
 * COMMIT is one transaction: a crash anywhere leaves the event `received`, and it
 * is picked again.
 *
 * Failure modes. The connection is lost: the transaction is gone with it, or COMMIT's outcome is
 * unknown; either way the row tells, when it is picked again or not. PostgreSQL refuses the effect,
 * or Stripe does not answer: rolled back and put off, by the rules of retry.h. */
#include "webhookd/worker_internal.h"

#include "common/clock.h"
#include "webhookd/fetch.h"
#include "webhookd/sql.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TO(state) (1u << (state))
static const unsigned MAY_GO[] = {
    [RESTING] = TO(PICKING),
    [PICKING] = TO(RESTING) | TO(LOCKING) | TO(FETCHING) | TO(WRITING) | TO(DELAYING),
    [LOCKING] = TO(RESTING) | TO(FETCHING) | TO(READING) | TO(DELAYING),
    [FETCHING] = TO(RESTING) | TO(READING) | TO(WRITING) | TO(DELAYING),
    [READING] = TO(RESTING) | TO(FETCHING) | TO(WRITING) | TO(DELAYING),
    [WRITING] = TO(RESTING) | TO(CACHING) | TO(PICKING) | TO(DELAYING),
    [CACHING] = TO(RESTING) | TO(PICKING),
    [DELAYING] = TO(RESTING) | TO(PICKING),
};

static void run_pick(struct worker *w);

void worker_go(struct worker *w, enum worker_state next)
{
    assert(MAY_GO[w->state] & TO(next));
    w->state = next;
}

static void on_timer(uv_timer_t *timer)
{
    worker_wake(timer->data);
}

void worker_rest(struct worker *w, uint64_t wait_ms)
{
    job_done(&w->job);
    worker_go(w, RESTING);
    if (!w->closing)
        uv_timer_start(&w->timer, on_timer, wait_ms, 0);
    webhookd_check_drained(w->d);
}

static bool may_pick(const struct worker *w)
{
    return !w->closing && !stage_is_draining(w->d->stage) && w->d->schema_ready &&
           pg_is_ready(w->pg) && !(w->d->fetcher && fetcher_is_paused(w->d->fetcher));
}

void worker_next(struct worker *w)
{
    job_done(&w->job);
    if (may_pick(w))
        run_pick(w);
    else
        worker_rest(w, POLL_MS);
}

/* Picking. */

static void take_row(struct worker *w, const PGresult *r)
{
    struct job *j = &w->job;
    struct err e;
    const char *payload = result_text(r, 0, 3);
    j->attempts = result_i64(r, 0, 2);
    int failed =
        stripe_event_parse(payload ? payload : "", payload ? strlen(payload) : 0, &j->event, &e);
    if (failed) {
        /* It was parsed before it was kept: somebody has changed the row. */
        j->event.root =
            json_pack("{s:s, s:s}", "id", result_text(r, 0, 0), "type", result_text(r, 0, 1));
        j->event.id = stripe_text(j->event.root, "id");
        j->event.type = stripe_text(j->event.root, "type");
        job_say(j, "the payload cannot be read: %.100s", e.text);
        worker_run_write(w, VERDICT_FAIL);
        return;
    }
    worker_start_job(w);
}

static void take_nothing(void *owner, const struct err *error, PGresult **results, int n)
{
    struct worker *w = owner;
    (void)error, (void)results, (void)n;
    worker_rest(w, w->woken ? 0 : POLL_MS);
}

static void pick_failed(struct worker *w, const struct err *error)
{
    uint64_t held;
    if (error->kind == ERR_REFUSED && log_repeat_failed(&w->refused, clock_monotonic_ms(), &held))
        log_error("pick_refused", LOG_U64("held_back", held), LOG_ERR(error));
    worker_rest(w, error->kind == ERR_REFUSED ? backoff_next_ms(&w->backoff, backoff_random())
                                              : POLL_MS);
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
        log_info("pick_recovered", LOG_MSG("events are worked again"));
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
    w->woken = w->lost = false;
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
    w->lost = true;
}

struct worker *worker_open(struct webhookd *d, int number)
{
    struct worker *w = xcalloc(1, sizeof *w);
    w->d = d;
    w->backoff = BACKOFF(500, 30000);
    w->open_parts = 2;
    uv_timer_init(stage_loop(d->stage), &w->timer);
    w->timer.data = w;
    char *name = xasprintf("meterline-webhookd-worker-%d", number);
    w->pg = pg_open(stage_loop(d->stage), d->config.base.database_url, "meterline_webhookd", name,
                    (struct pg_events){.on_up = on_up, .on_down = on_down, .owner = w});
    free(name);
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

void worker_part_closed(struct worker *w)
{
    if (--w->open_parts > 0)
        return;
    job_done(&w->job);
    free(w);
}

static void on_pg_closed(void *owner)
{
    worker_part_closed(owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    worker_part_closed(handle->data);
}

void worker_close(struct worker *w)
{
    w->closing = true;
    pg_close(w->pg, on_pg_closed, w);
    uv_close((uv_handle_t *)&w->timer, on_timer_closed);
}
