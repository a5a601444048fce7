#include "common/stripe/stripe_sync.h"

#include "common/pg/pg.h"
#include "common/sql.h"
#include "common/str.h"
#include "common/stripe/sync_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEADLINE_MS = 10000,
    WRITE_DEADLINE_MS = 120000, /* workers of webhookd may work for the same tenants */
    TRIES = 12,
    FENCED_MAX = 3,
    RETRY_FIRST_MS = 500,
    RETRY_MAX_MS = 10000
};
#define LEASE_MS "3000"

const struct machine SYNC_MACHINE = {
    "stripe_sync",
    {[RESTING] = {"resting", TO(TAKING)},
     [TAKING] = {"taking", TO(RESTING) | TO(WAITING) | TO(ASKING) | TO(FINDING)},
     [WAITING] = {"waiting", TO(RESTING) | TO(TAKING) | TO(ASKING) | TO(FINDING) | TO(WRITING)},
     [ASKING] = {"asking", TO(RESTING) | TO(WAITING) | TO(WRITING) | TO(ASKING)},
     [FINDING] = {"finding", TO(RESTING) | TO(WAITING) | TO(ASKING) | TO(WRITING)},
     [WRITING] = {"writing", TO(RESTING) | TO(WAITING) | TO(ASKING) | TO(FINDING)}}};

const char *sync_step_name(enum sync_step step)
{
    return SYNC_LISTS[step].name;
}

void sync_forget_page(struct stripe_sync *s)
{
    json_decref(s->page);
    json_decref(s->batch);
    free(s->next_after);
    s->page = s->batch = NULL;
    s->next_after = NULL;
}

void sync_end(struct stripe_sync *s, const struct err *error)
{
    machine_go(&SYNC_MACHINE, s->state, RESTING);
    sync_forget_page(s);
    if (closing_has_begun(&s->closing))
        closing_part_closed(&s->closing);
    else
        s->events.done(s->events.owner, error, &s->report);
}

static void on_timer(uv_timer_t *timer)
{
    struct stripe_sync *s = timer->data;
    struct err e;
    if (!pg_is_ready(s->pg)) {
        err_set(&e, ERR_CLOSED, "the connection to PostgreSQL was lost");
        sync_end(s, &e);
        return;
    }
    s->again(s);
}

static void wait_then(struct stripe_sync *s, void (*again)(struct stripe_sync *), uint64_t wait_ms)
{
    machine_go(&SYNC_MACHINE, s->state, WAITING);
    s->again = again;
    uv_update_time(s->timer.loop);
    uv_timer_start(&s->timer, on_timer, wait_ms, 0);
}

/* Again after a while, or never. at_least_ms: for so long nothing helps. */
void sync_try_again(struct stripe_sync *s, void (*again)(struct stripe_sync *), int64_t at_least_ms,
                    const struct err *e)
{
    if (closing_has_begun(&s->closing) || e->kind == ERR_CANCELED || ++s->tries > TRIES) {
        sync_end(s, e);
        return;
    }
    uint64_t wait_ms = backoff_next_ms(&s->backoff, backoff_random());
    wait_then(s, again, at_least_ms > (int64_t)wait_ms ? (uint64_t)at_least_ms : wait_ms);
}

static void next_page(struct stripe_sync *s)
{
    if (s->report.step == SYNC_GONE)
        sync_find(s);
    else
        sync_ask(s);
}

/* Applying a page. */

void sync_own_text(char **place, char *text)
{
    free(*place);
    *place = text;
}

static void take_write(void *owner, const struct err *error, PGresult **results, int n)
{
    struct stripe_sync *s = owner;
    struct err e;
    if (error && (error->kind != ERR_REFUSED || !error->retry)) {
        sync_end(s, error);
        return;
    }
    if (error) { /* such as a deadlock with a worker of webhookd */
        sync_try_again(s, sync_write, 0, error);
        return;
    }
    if (n > 1)
        for (int row = 0; row < PQntuples(results[0]); row++)
            s->report.plans_unknown += !strcmp(PQgetvalue(results[0], row, 0), "plan_unknown");
    if (PQntuples(results[n - 1]) == 0) {
        err_set(&e, ERR_FENCED, "another run has taken over, and goes on");
        sync_end(s, &e);
        return;
    }
    s->tries = 0;
    backoff_reset(&s->backoff);
    s->report.read[s->report.step] += s->in_page;
    if (s->events.on_progress)
        s->events.on_progress(s->events.owner, &s->report);
    if (!s->more && s->report.step == SYNC_GONE) {
        sync_end(s, NULL);
        return;
    }
    sync_own_text(&s->after, s->more ? xstrdup(s->next_after) : NULL);
    if (!s->more) {
        s->report.step++;
        s->from_top = false;
    }
    sync_forget_page(s);
    next_page(s);
}

/* The list that is read next; NULL: that was all. */
static const char *step_after(const struct stripe_sync *s)
{
    if (s->more)
        return SYNC_LISTS[s->report.step].name;
    return s->report.step < SYNC_GONE ? SYNC_LISTS[s->report.step + 1].name : NULL;
}

/* With the place that is reached by it. */
void sync_write(struct stripe_sync *s)
{
    struct pg_statement statements[2];
    char count[24];
    int n = 0;
    char *batch = json_dumps(s->batch, JSON_COMPACT);
    machine_go(&SYNC_MACHINE, s->state, WRITING);
    if (json_array_size(s->batch) > 0) {
        pg_statement_init(&statements[n], SQL_SYNC_APPLY);
        pg_add_text(&statements[n++], batch);
    }
    (void)snprintf(count, sizeof count, "%d", s->in_page);
    pg_statement_init(&statements[n], SQL_SYNC_MOVE);
    pg_add_text(&statements[n], s->owner_name);
    pg_add_text(&statements[n], LEASE_MS);
    pg_add_text(&statements[n], SYNC_LISTS[s->report.step].name);
    pg_add_text(&statements[n], count);
    pg_add_text(&statements[n], step_after(s));
    pg_add_text(&statements[n++], s->more ? s->next_after : NULL);
    pg_run(s->pg, statements, n, WRITE_DEADLINE_MS, take_write, s);
    free(batch);
}

/* Taking the lease. */

static void run_take(struct stripe_sync *s);

static void wait_for_lease(struct stripe_sync *s, const PGresult *holder)
{
    struct err e;
    if (s->fenced++ < FENCED_MAX) {
        wait_then(s, run_take, (uint64_t)strtoull(PQgetvalue(holder, 0, 1), NULL, 10) + 50);
        return;
    }
    err_set(&e, ERR_FENCED, "another run is under way, by %.60s", PQgetvalue(holder, 0, 0));
    sync_end(s, &e);
}

static void read_counts(struct stripe_sync *s, const char *text)
{
    json_t *counts = json_loads(text, 0, NULL);
    for (int step = 0; step < SYNC_STEPS; step++)
        s->report.read[step] =
            json_integer_value(json_object_get(counts, sync_step_name((enum sync_step)step)));
    json_decref(counts);
}

static void take_lease(void *owner, const struct err *error, PGresult **results, int n)
{
    struct stripe_sync *s = owner;
    (void)n;
    if (error) {
        sync_end(s, error);
        return;
    }
    const PGresult *r = results[0];
    if (PQntuples(r) == 0) {
        wait_for_lease(s, results[1]);
        return;
    }
    for (int step = 0; step < SYNC_STEPS; step++)
        if (!strcmp(SYNC_LISTS[step].name, PQgetvalue(r, 0, 0)))
            s->report.step = (enum sync_step)step;
    sync_own_text(&s->after, PQgetisnull(r, 0, 1) ? NULL : xstrdup(PQgetvalue(r, 0, 1)));
    read_counts(s, PQgetvalue(r, 0, 2));
    sync_own_text(&s->started, xstrdup(PQgetvalue(r, 0, 3)));
    s->started_s = strtoll(PQgetvalue(r, 0, 4), NULL, 10);
    s->report.resumed = s->after || s->report.step > SYNC_PRICES;
    if (s->events.on_progress)
        s->events.on_progress(s->events.owner, &s->report);
    next_page(s);
}

static void run_take(struct stripe_sync *s)
{
    struct pg_statement statements[2];
    machine_go(&SYNC_MACHINE, s->state, TAKING);
    pg_statement_init(&statements[0], SQL_SYNC_TAKE);
    pg_add_text(&statements[0], s->owner_name);
    pg_add_text(&statements[0], LEASE_MS);
    pg_statement_init(&statements[1], SQL_SYNC_HOLDER);
    pg_run(s->pg, statements, 2, DEADLINE_MS, take_lease, s);
}

struct stripe_sync *stripe_sync_new(uv_loop_t *loop, struct fetcher *fetcher, struct pg *pg,
                                    const char *name, struct sync_events events)
{
    struct stripe_sync *s = xcalloc(1, sizeof *s);
    s->fetcher = fetcher;
    s->pg = pg;
    s->events = events;
    lease_owner_name(name, s->owner_name);
    uv_timer_init(loop, &s->timer);
    s->timer.data = s;
    return s;
}

void stripe_sync_start(struct stripe_sync *s)
{
    assert(pg_is_ready(s->pg));
    s->report = (struct sync_report){0};
    s->tries = s->fenced = 0;
    s->from_top = false;
    s->backoff = BACKOFF(RETRY_FIRST_MS, RETRY_MAX_MS);
    run_take(s);
}

bool stripe_sync_runs(const struct stripe_sync *s)
{
    return s->state != RESTING;
}

static void release(void *self)
{
    struct stripe_sync *s = self;
    sync_forget_page(s);
    free(s->after);
    free(s->started);
    free(s);
}

void stripe_sync_close(struct stripe_sync *s)
{
    closing_begin(&s->closing, s, release, NULL, NULL);
    closing_handle(&s->closing, &s->timer);
    if (s->state != RESTING && s->state != WAITING) /* an answer is still to come */
        closing_part(&s->closing);
    closing_end(&s->closing);
}
