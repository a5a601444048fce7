#include "api/upkeep.h"

#include "api/sql.h"
#include "common/clock.h"
#include "common/closing.h"
#include "common/contract.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/metric_table.h"
#include "common/peer.h"
#include "common/pg/schema.h"

#include <stdio.h>
#include <stdlib.h>

/* A lease is renewed four times before it ends: see LEASE_MS in door/change.c. */
enum {
    DEADLINE_MS = 5000,
    RETRY_MS = 1000,
    RENEW_EVERY_MS = 1250,
    LEASE_MS = 5000,
    FORGET_EVERY_MS = 600000,
    FORGET_PAGE = 1000,
    NUMBER_SIZE = 8
};

enum upkeep_state { RESTING, CHECKING, ASKING, RENEWING, FORGETTING };

static const struct machine UPKEEP = {
    "upkeep",
    {[RESTING] = {"resting", TO(RESTING) | TO(CHECKING) | TO(RENEWING) | TO(FORGETTING)},
     [CHECKING] = {"checking", TO(RESTING) | TO(ASKING)},
     [ASKING] = {"asking for the shards", TO(RESTING)},
     [RENEWING] = {"renewing", TO(RESTING)},
     [FORGETTING] = {"forgetting", TO(RESTING)}}};

struct upkeep {
    const struct context *context;
    upkeep_schema_fn on_schema;
    void *owner;
    struct pg *pg;
    uv_timer_t timer;
    enum upkeep_state state;
    bool is_checked;   /* the schema, on this connection */
    int64_t forgot_ms; /* monotonic; 0: not yet */
    struct log_repeat schema;
    struct log_repeat refused;
    struct closing closing;
};

static void step(struct upkeep *u);

static void on_timer(uv_timer_t *timer)
{
    step(timer->data);
}

static void rest(struct upkeep *u, uint64_t wait_ms)
{
    machine_go(&UPKEEP, u->state, RESTING);
    if (closing_has_begun(&u->closing))
        return;
    uv_timer_start(&u->timer, on_timer, wait_ms, 0);
    u->context->on_idle(u->context->owner);
}

static bool rest_on_error(struct upkeep *u, const struct err *error)
{
    uint64_t held;
    if (!error) {
        log_repeat_recovered(&u->refused);
        return false;
    }
    if (error->kind == ERR_REFUSED && log_repeat_failed(&u->refused, clock_monotonic_ms(), &held))
        log_error(upkeep_failed, LOG_U64("held_back", held), LOG_STR("sqlstate", error->sqlstate),
                  LOG_ERR(error));
    rest(u, RETRY_MS);
    return true;
}

static void take_forgotten(void *owner, const struct err *error, PGresult **results, int n)
{
    struct upkeep *u = owner;
    (void)n;
    if (rest_on_error(u, error))
        return;
    if (pg_get_i64(results[0], 0, 0) < FORGET_PAGE)
        u->forgot_ms = clock_monotonic_ms();
    rest(u, 0);
}

static void run_forget(struct upkeep *u)
{
    unsigned char page[NUMBER_SIZE];
    struct pg_statement s;
    machine_go(&UPKEEP, u->state, FORGETTING);
    pg_statement_init(&s, SQL_FORGET_REQUESTS);
    s.binary_result = true;
    pg_add_i64(&s, FORGET_PAGE, page);
    pg_run(u->pg, &s, 1, DEADLINE_MS, take_forgotten, u);
}

static void take_renewed(void *owner, const struct err *error, PGresult **results, int n)
{
    struct upkeep *u = owner;
    (void)n;
    if (rest_on_error(u, error))
        return;
    u->on_schema(u->owner, true, pg_get_i64(results[1], 0, 0));
    rest(u, RENEW_EVERY_MS);
}

static void run_renew(struct upkeep *u)
{
    struct pg_statement s[2];
    char lease[NUMBER_SIZE];
    machine_go(&UPKEEP, u->state, RENEWING);
    snprintf(lease, sizeof lease, "%d", LEASE_MS);
    pg_statement_init(&s[0], SQL_RENEW_REQUESTS);
    pg_add_text(&s[0], u->context->instance);
    pg_add_text(&s[0], lease);
    pg_statement_init(&s[1], SQL_READ_SHARDS);
    s[1].binary_result = true;
    pg_run(u->pg, s, 2, DEADLINE_MS, take_renewed, u);
}

static void take_shards(void *owner, const struct err *error, PGresult **results, int n)
{
    struct upkeep *u = owner;
    (void)n;
    if (rest_on_error(u, error))
        return;
    u->is_checked = true;
    u->on_schema(u->owner, true, pg_get_i64(results[0], 0, 0));
    rest(u, 0);
}

static void take_schema(void *owner, const struct err *error)
{
    struct upkeep *u = owner;
    struct pg_statement s;
    uint64_t held;
    if (error)
        u->on_schema(u->owner, false, 0);
    if (error && error->kind == ERR_SCHEMA && !error->retry) {
        log_error(schema_refused, LOG_ERR(error));
        stage_finish(u->context->stage, EXIT_FAILED);
    } else if (error && error->kind == ERR_SCHEMA &&
               log_repeat_failed(&u->schema, clock_monotonic_ms(), &held)) {
        log_warn(schema_waited, LOG_U64("held_back", held), LOG_ERR(error));
    }
    if (error || closing_has_begun(&u->closing)) {
        rest(u, RETRY_MS);
        return;
    }
    log_repeat_recovered(&u->schema);
    machine_go(&UPKEEP, u->state, ASKING);
    pg_statement_init(&s, SQL_READ_SHARDS);
    s.binary_result = true;
    pg_run(u->pg, &s, 1, DEADLINE_MS, take_shards, u);
}

/* While it drains, requests are still being worked on, and kept. */
static void step(struct upkeep *u)
{
    if (u->state != RESTING || closing_has_begun(&u->closing))
        return;
    if (!pg_is_ready(u->pg)) {
        rest(u, RETRY_MS);
    } else if (!u->is_checked) {
        machine_go(&UPKEEP, u->state, CHECKING);
        schema_check(u->pg, take_schema, u);
    } else if (!stage_is_draining(u->context->stage) &&
               (!u->forgot_ms || clock_monotonic_ms() - u->forgot_ms >= FORGET_EVERY_MS)) {
        run_forget(u);
    } else {
        run_renew(u);
    }
}

static void on_up(void *owner)
{
    step(owner);
}

/* The schema may be another one when it is back; meanwhile requests fail by themselves. */
static void on_down(void *owner, const struct err *error)
{
    struct upkeep *u = owner;
    (void)error;
    u->is_checked = false;
    u->on_schema(u->owner, false, 0);
}

struct upkeep *upkeep_open(const struct context *context, upkeep_schema_fn on_schema, void *owner)
{
    struct upkeep *u = xcalloc(1, sizeof *u);
    u->context = context;
    u->on_schema = on_schema;
    u->owner = owner;
    uv_timer_init(stage_loop(context->stage), &u->timer);
    u->timer.data = u;
    u->pg = pg_open(stage_loop(context->stage), context->config->base.database_url, API_DB_ROLE,
                    "meterline-api-upkeep",
                    (struct pg_events){.on_up = on_up, .on_down = on_down, .owner = u});
    return u;
}

bool upkeep_is_idle(const struct upkeep *u)
{
    return u->state == RESTING;
}

bool upkeep_is_ready(const struct upkeep *u, struct buf *why)
{
    if (!u->is_checked && pg_is_up(u->pg))
        buf_add_str(why, "schema: not checked yet, or older than this program needs\n");
    return u->is_checked;
}

void upkeep_close(struct upkeep *u)
{
    closing_begin(&u->closing, u, free, NULL, NULL);
    closing_handle(&u->closing, &u->timer);
    pg_close(u->pg, closing_part_closed, closing_part(&u->closing));
    closing_end(&u->closing);
}
