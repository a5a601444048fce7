/* Looks twice a second for tenants whose limits changed.
 *
 *   RESTING -> LOOKING -> READING -> CACHING -> FORGETTING -> LOOKING -> …
 *      ^          |          |          |           |
 *      +----------+----------+----------+-----------+  (nothing there, or failed)
 *
 * The happy path: triggers note the tenant in `limit_changes`; here its quotas are brought in line,
 * read, written into Redis, and the note is deleted unless there is another one since. Another
 * version of the catalog begins a round of the healer, since it concerns all tenants.
 *
 * Failure modes: PostgreSQL or Redis is away: the notes stay. Several processes may do the same at
 * once, which does no harm. */
#include "webhookd/limits/limit_changes.h"

#include "common/log.h"
#include "common/str.h"
#include "webhookd/context.h"
#include "webhookd/limits/limits.h"
#include "webhookd/limits/limits_sweep.h"
#include "webhookd/sql.h"
#include "webhookd/statement_list.h"

#include <assert.h>
#include <stdlib.h>

enum { LOOK_EVERY_MS = 500, RETRY_MS = 2000, PAGE_TENANTS = 200, DEADLINE_MS = 20000 };

enum state { RESTING, LOOKING, READING, CACHING, FORGETTING };

#define TO(state) (1u << (state))
static const unsigned MAY_GO[] = {
    [RESTING] = TO(LOOKING),
    [LOOKING] = TO(READING) | TO(RESTING),
    [READING] = TO(CACHING) | TO(RESTING),
    [CACHING] = TO(FORGETTING) | TO(RESTING),
    [FORGETTING] = TO(LOOKING) | TO(RESTING),
};

struct changes {
    const struct context *context;
    struct limits *limits;
    struct healer *healer;
    struct pg *pg;
    uv_timer_t timer;
    enum state state;
    char *notes; /* in hand: an array of [tenant, number], JSON */
    struct log_repeat refused;
    bool closing;
    int open_parts; /* handles, connections and writes that still point here */
};

static void run_look(struct changes *c);
static void part_closed(struct changes *c);

static void changes_go(struct changes *c, enum state next)
{
    assert(MAY_GO[c->state] & TO(next));
    c->state = next;
}

static void on_timer(uv_timer_t *timer)
{
    run_look(timer->data);
}

static void rest(struct changes *c, uint64_t wait_ms)
{
    if (c->state != RESTING)
        changes_go(c, RESTING);
    if (!c->closing)
        uv_timer_start(&c->timer, on_timer, wait_ms, 0);
    c->context->on_idle(c->context->owner);
}

/* True: it rests now. */
static bool is_lost(struct changes *c, const struct err *error)
{
    uint64_t held;
    if (!error && !c->closing) {
        log_repeat_recovered(&c->refused);
        return false;
    }
    if (error && error->kind == ERR_REFUSED &&
        log_repeat_failed(&c->refused, (int64_t)uv_now(c->timer.loop), &held))
        log_error(changes_refused, LOG_U64("held_back", held), LOG_ERR(error));
    rest(c, RETRY_MS);
    return true;
}

static void take_forget(void *owner, const struct err *error, PGresult **results, int n)
{
    struct changes *c = owner;
    (void)results, (void)n;
    if (!is_lost(c, error))
        run_look(c); /* there may be more */
}

static void on_cached(void *owner, const struct err *error, int n)
{
    struct changes *c = owner;
    struct script s = {0};
    (void)n;
    if (c->closing) {
        part_closed(c);
        return;
    }
    c->open_parts--;
    if (error || !pg_is_ready(c->pg)) {
        rest(c, RETRY_MS);
        return;
    }
    changes_go(c, FORGETTING);
    script_add(&s, SQL_FORGET_CHANGES);
    script_text(&s, c->notes);
    script_run(&s, c->pg, DEADLINE_MS, take_forget, c);
}

static void take_read(void *owner, const struct err *error, PGresult **results, int n)
{
    struct changes *c = owner;
    if (is_lost(c, error))
        return;
    changes_go(c, CACHING);
    c->open_parts++;
    limits_write(c->limits, results[n - 1], LIMITS_CHANGED, on_cached, c);
}

static void run_read(struct changes *c, const char *tenants)
{
    struct script s = {0};
    changes_go(c, READING);
    script_add(&s, SQL_LOCK_TENANTS);
    script_text(&s, tenants);
    script_bool(&s, true);
    script_add(&s, SQL_REFRESH_PAGE);
    script_text(&s, tenants);
    script_bool(&s, true);
    script_add(&s, SQL_READ_LIMITS);
    script_text(&s, tenants);
    script_run(&s, c->pg, DEADLINE_MS, take_read, c);
}

static void take_look(void *owner, const struct err *error, PGresult **results, int n)
{
    struct changes *c = owner;
    (void)n;
    if (is_lost(c, error))
        return;
    const PGresult *r = results[0];
    healer_tell_catalog(c->healer, result_i64(r, 0, 3));
    if (result_i64(r, 0, 2) == 0) {
        rest(c, LOOK_EVERY_MS);
        return;
    }
    free(c->notes);
    c->notes = xstrdup(result_text(r, 0, 1));
    run_read(c, result_text(r, 0, 0));
}

static void run_look(struct changes *c)
{
    struct script s = {0};
    if (c->closing || stage_is_draining(c->context->stage) || !c->context->schema_ready ||
        !pg_is_ready(c->pg) || !redis_router_is_up(c->context->redis)) {
        rest(c, LOOK_EVERY_MS);
        return;
    }
    changes_go(c, LOOKING);
    script_add(&s, SQL_LOOK_CHANGES);
    script_i64(&s, PAGE_TENANTS);
    script_run(&s, c->pg, DEADLINE_MS, take_look, c);
}

struct changes *changes_open(const struct context *context, struct limits *limits,
                             struct healer *healer)
{
    struct changes *c = xcalloc(1, sizeof *c);
    c->context = context;
    c->limits = limits;
    c->healer = healer;
    c->open_parts = 2;
    uv_timer_init(stage_loop(context->stage), &c->timer);
    c->timer.data = c;
    c->pg =
        pg_open(stage_loop(context->stage), context->config->base.database_url,
                "meterline_webhookd", "meterline-webhookd-changes", (struct pg_events){.owner = c});
    rest(c, LOOK_EVERY_MS);
    return c;
}

bool changes_are_idle(const struct changes *c)
{
    return c->state == RESTING;
}

static void part_closed(struct changes *c)
{
    if (--c->open_parts > 0)
        return;
    free(c->notes);
    free(c);
}

static void on_pg_closed(void *owner)
{
    part_closed(owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    part_closed(handle->data);
}

void changes_close(struct changes *c)
{
    c->closing = true;
    pg_close(c->pg, on_pg_closed, c);
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
}
