#include "webhookd/limits/limit_changes.h"

#include "common/closing.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/str.h"
#include "webhookd/context.h"
#include "webhookd/limits/limits.h"
#include "webhookd/limits/limits_sweep.h"
#include "webhookd/sql.h"
#include "webhookd/statement_list.h"

#include <stdlib.h>

enum { LOOK_EVERY_MS = 250, RETRY_MS = 2000, PAGE_TENANTS = 200, DEADLINE_MS = 20000 };

enum limit_changes_state { RESTING, LOOKING, READING, CACHING, FORGETTING };

static const struct machine LIMIT_CHANGES = {
    "limit_changes",
    {[RESTING] = {"resting", TO(RESTING) | TO(LOOKING)},
     [LOOKING] = {"looking", TO(RESTING) | TO(READING)},
     [READING] = {"reading", TO(RESTING) | TO(CACHING)},
     [CACHING] = {"caching", TO(RESTING) | TO(FORGETTING)},
     [FORGETTING] = {"forgetting", TO(RESTING) | TO(LOOKING)}}};

struct limit_changes {
    const struct context *context;
    struct limits *limits;
    struct limits_sweep *sweep;
    struct pg *pg;
    uv_timer_t timer;
    enum limit_changes_state state;
    char *notes;     /* those being worked on: an array of [tenant, number], JSON */
    char *looked_at; /* when the last look was whose changes are all cached; NULL: never */
    char *look_at;   /* … and this one */
    struct log_repeat refused;
    struct closing closing;
};

static void run_look(struct limit_changes *c);

static void on_timer(uv_timer_t *timer)
{
    run_look(timer->data);
}

static void rest(struct limit_changes *c, uint64_t wait_ms)
{
    machine_go(&LIMIT_CHANGES, c->state, RESTING);
    if (!closing_has_begun(&c->closing))
        uv_timer_start(&c->timer, on_timer, wait_ms, 0);
    c->context->on_idle(c->context->owner);
}

/* Returns true if it rests now, because of the error or because it is being closed. */
static bool rest_on_error(struct limit_changes *c, const struct err *error)
{
    uint64_t suppressed;
    if (!error && !closing_has_begun(&c->closing)) {
        log_repeat_recovered(&c->refused);
        return false;
    }
    if (error && error->kind == ERR_REFUSED &&
        log_repeat_failed(&c->refused, (int64_t)uv_now(c->timer.loop), &suppressed))
        log_error(limit_changes_failed, LOG_U64("held_back", suppressed), LOG_ERR(error));
    rest(c, RETRY_MS);
    return true;
}

/* What ended up to then needs no second look. */
static void note_look(struct limit_changes *c)
{
    free(c->looked_at);
    c->looked_at = c->look_at;
    c->look_at = NULL;
}

static void take_forget(void *owner, const struct err *error, PGresult **results, int n)
{
    struct limit_changes *c = owner;
    (void)results, (void)n;
    if (rest_on_error(c, error))
        return;
    note_look(c);
    run_look(c); /* there may be more */
}

static void run_forget(struct limit_changes *c)
{
    struct statement_list l = {0};
    machine_go(&LIMIT_CHANGES, c->state, FORGETTING);
    statement_list_add(&l, SQL_FORGET_CHANGES);
    param_text(&l, c->notes);
    statement_list_run(&l, c->pg, DEADLINE_MS, take_forget, c);
}

static void on_cached(void *owner, const struct err *error, int n)
{
    struct limit_changes *c = owner;
    (void)n;
    if (closing_has_begun(&c->closing))
        closing_part_closed(&c->closing);
    else if (error || !pg_is_ready(c->pg))
        rest(c, RETRY_MS);
    else
        run_forget(c);
}

static void take_read(void *owner, const struct err *error, PGresult **results, int n)
{
    struct limit_changes *c = owner;
    if (rest_on_error(c, error))
        return;
    machine_go(&LIMIT_CHANGES, c->state, CACHING);
    limits_write(c->limits, results[n - 1], LIMITS_WRITE, on_cached, c);
}

static void run_read(struct limit_changes *c, const char *tenants)
{
    struct statement_list l = {0};
    machine_go(&LIMIT_CHANGES, c->state, READING);
    statement_list_add(&l, SQL_LOCK_TENANTS);
    param_text(&l, tenants);
    param_bool(&l, true);
    statement_list_add(&l, SQL_REFRESH_PAGE);
    param_text(&l, tenants);
    param_bool(&l, true);
    statement_list_add(&l, SQL_READ_LIMITS);
    param_text(&l, tenants);
    statement_list_run(&l, c->pg, DEADLINE_MS, take_read, c);
}

static void take_look(void *owner, const struct err *error, PGresult **results, int n)
{
    struct limit_changes *c = owner;
    (void)n;
    if (rest_on_error(c, error))
        return;
    const PGresult *r = results[0];
    limits_sweep_note_catalog(c->sweep, result_i64(r, 0, 3));
    free(c->look_at);
    c->look_at = xstrdup(result_text(r, 0, 4));
    if (result_i64(r, 0, 2) == 0) {
        note_look(c);
        rest(c, LOOK_EVERY_MS);
        return;
    }
    free(c->notes);
    c->notes = xstrdup(result_text(r, 0, 1));
    run_read(c, result_text(r, 0, 0));
}

static void run_look(struct limit_changes *c)
{
    struct statement_list l = {0};
    if (closing_has_begun(&c->closing) || stage_is_draining(c->context->stage) ||
        !c->context->schema_ready || !pg_is_ready(c->pg) ||
        !redis_router_is_up(c->context->redis)) {
        rest(c, LOOK_EVERY_MS);
        return;
    }
    machine_go(&LIMIT_CHANGES, c->state, LOOKING);
    statement_list_add(&l, SQL_LOOK_CHANGES);
    param_i64(&l, PAGE_TENANTS);
    param_text(&l, c->looked_at);
    statement_list_run(&l, c->pg, DEADLINE_MS, take_look, c);
}

struct limit_changes *limit_changes_open(const struct context *context, struct limits *limits,
                                         struct limits_sweep *sweep)
{
    struct limit_changes *c = xcalloc(1, sizeof *c);
    c->context = context;
    c->limits = limits;
    c->sweep = sweep;
    uv_timer_init(stage_loop(context->stage), &c->timer);
    c->timer.data = c;
    c->pg =
        pg_open(stage_loop(context->stage), context->config->base.database_url,
                "meterline_webhookd", "meterline-webhookd-changes", (struct pg_events){.owner = c});
    rest(c, LOOK_EVERY_MS);
    return c;
}

bool limit_changes_are_idle(const struct limit_changes *c)
{
    return c->state == RESTING;
}

static void release(void *self)
{
    struct limit_changes *c = self;
    free(c->notes);
    free(c->looked_at);
    free(c->look_at);
    free(c);
}

void limit_changes_close(struct limit_changes *c)
{
    closing_begin(&c->closing, c, release, NULL, NULL);
    if (c->state == CACHING) /* on_cached is still to come */
        closing_part(&c->closing);
    closing_handle(&c->closing, &c->timer);
    pg_close(c->pg, closing_part_closed, closing_part(&c->closing));
    closing_end(&c->closing);
}
