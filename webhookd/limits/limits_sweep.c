#include "webhookd/limits/limits_sweep.h"

#include "common/closing.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/metric_table.h"
#include "common/redis/redis_stamp.h"
#include "common/str.h"
#include "webhookd/context.h"
#include "webhookd/limits/limits.h"
#include "webhookd/sql.h"
#include "webhookd/statement_list.h"

#include <stdlib.h>
#include <string.h>

enum {
    RETRY_MS = 1000, /* while PostgreSQL is away or has no schema */
    COUNT_EVERY_MS = 10000,
    PAUSE_MS = 20,
    VERIFY_ALL_EVERY = 10, /* sweeps */
    PAGE_TENANTS = 1000,
    DEADLINE_MS = 20000
};

enum limits_sweep_state { RESTING, COUNTING, STAMPING, LISTING, READING, CACHING, PAUSING };

static const struct machine LIMITS_SWEEP = {"limits_sweep",
                                            {[RESTING] = {"resting", TO(RESTING) | TO(COUNTING)},
                                             [COUNTING] = {"counting", TO(RESTING) | TO(STAMPING)},
                                             [STAMPING] = {"stamping", TO(RESTING) | TO(LISTING)},
                                             [LISTING] = {"listing", TO(RESTING) | TO(READING)},
                                             [READING] = {"reading", TO(RESTING) | TO(CACHING)},
                                             [CACHING] = {"caching", TO(RESTING) | TO(PAUSING)},
                                             [PAUSING] = {"pausing", TO(RESTING) | TO(LISTING)}}};

struct limits_sweep {
    const struct context *context;
    struct limits *limits;
    struct pg *pg;
    uv_timer_t timer;
    enum limits_sweep_state state;
    char *after;             /* the last tenant of the previous page; NULL at the start */
    int64_t catalog_version; /* that all quotas were last refreshed with; -1: never */
    int64_t sweep_version;   /* the catalog's when this sweep began */
    int64_t tenants;         /* of this sweep */
    uint64_t stamp;          /* of Redis before the last sweep that succeeded; 0: none */
    uint64_t sweep_stamp;    /* … before this one */
    int sweeps;              /* since one that verified all tenants */
    uint64_t due_ms;         /* when the next sweep begins, in the loop's time */
    bool sweeping;           /* else, if not resting, it only counts */
    bool hurried;
    bool is_lost; /* the cache: nothing is left there to be verified, … */
    bool fills;   /* … so this sweep writes all */
    struct closing closing;
};

static void run_list(struct limits_sweep *s);
static void begin_sweep(struct limits_sweep *s);
static void run_count(struct limits_sweep *s);

static uint64_t interval_ms(const struct limits_sweep *s)
{
    return (uint64_t)s->context->config->heal_s * 1000;
}

static bool may_go_on(const struct limits_sweep *s)
{
    return !closing_has_begun(&s->closing) && !stage_is_draining(s->context->stage) &&
           s->context->schema_ready && pg_is_ready(s->pg);
}

static void on_timer(uv_timer_t *timer)
{
    struct limits_sweep *s = timer->data;
    if (s->state == PAUSING)
        run_list(s);
    else if (uv_now(timer->loop) >= s->due_ms || !may_go_on(s))
        begin_sweep(s);
    else
        run_count(s);
}

/* Until due_ms, or until it is time to count. */
static void rest_until_due(struct limits_sweep *s)
{
    uint64_t now_ms = uv_now(s->timer.loop);
    uint64_t wait_ms = s->due_ms > now_ms ? s->due_ms - now_ms : 0;
    machine_go(&LIMITS_SWEEP, s->state, RESTING);
    s->sweeping = false;
    if (!closing_has_begun(&s->closing))
        uv_timer_start(&s->timer, on_timer, wait_ms < COUNT_EVERY_MS ? wait_ms : COUNT_EVERY_MS, 0);
    s->context->on_idle(s->context->owner);
}

static void rest(struct limits_sweep *s, uint64_t wait_ms)
{
    s->due_ms = uv_now(s->timer.loop) + (s->hurried ? PAUSE_MS : wait_ms);
    rest_until_due(s);
}

static void end_sweep(struct limits_sweep *s)
{
    s->catalog_version = s->sweep_version;
    s->stamp = s->sweep_stamp;
    limits_note_verified(s->limits);
    log_info(limits_rewritten, LOG_I64("tenants", s->tenants),
             LOG_I64("catalog_version", s->catalog_version));
    rest(s, interval_ms(s));
}

static void on_cached(void *owner, const struct err *error, int n)
{
    struct limits_sweep *s = owner;
    s->tenants += n;
    if (closing_has_begun(&s->closing)) {
        closing_part_closed(&s->closing);
    } else if (error) {
        rest(s, interval_ms(s));
    } else {
        machine_go(&LIMITS_SWEEP, s->state, PAUSING);
        uv_timer_start(&s->timer, on_timer, PAUSE_MS, 0);
    }
}

static bool must_rest(const struct limits_sweep *s, const struct err *error)
{
    /* A refusal is a bug of meterline or of the schema, and no other line would tell of it. */
    if (error && error->kind == ERR_REFUSED)
        log_error(limits_sweep_failed, LOG_ERR(error));
    return error || closing_has_begun(&s->closing);
}

static void take_read(void *owner, const struct err *error, PGresult **results, int n)
{
    struct limits_sweep *s = owner;
    if (must_rest(s, error) || PQntuples(results[n - 1]) == 0) {
        rest(s, interval_ms(s));
        return;
    }
    /* No key was lost since a sweep that left all limits up to date. */
    bool nothing_lost = s->sweep_stamp && s->sweep_stamp == s->stamp && s->sweeps > 0;
    machine_go(&LIMITS_SWEEP, s->state, CACHING);
    limits_write(s->limits, results[n - 1],
                 s->fills       ? LIMITS_WRITE
                 : nothing_lost ? LIMITS_VERIFY_UNKNOWN
                                : LIMITS_VERIFY,
                 on_cached, s);
}

static void run_read(struct limits_sweep *s, const char *tenants)
{
    struct statement_list l = {0};
    bool all = s->catalog_version != s->sweep_version;
    machine_go(&LIMITS_SWEEP, s->state, READING);
    statement_list_add(&l, SQL_LOCK_TENANTS);
    param_text(&l, tenants);
    param_bool(&l, all);
    statement_list_add(&l, SQL_REFRESH_PAGE);
    param_text(&l, tenants);
    param_bool(&l, all);
    statement_list_add(&l, SQL_READ_LIMITS);
    param_text(&l, tenants);
    statement_list_run(&l, s->pg, DEADLINE_MS, take_read, s);
}

static void take_list(void *owner, const struct err *error, PGresult **results, int n)
{
    struct limits_sweep *s = owner;
    (void)n;
    if (must_rest(s, error)) {
        rest(s, interval_ms(s));
        return;
    }
    const PGresult *r = results[0];
    if (!s->after)
        s->sweep_version = result_i64(r, 0, 3);
    if (result_i64(r, 0, 2) == 0) {
        end_sweep(s);
        return;
    }
    free(s->after);
    s->after = xstrdup(result_text(r, 0, 1));
    run_read(s, result_text(r, 0, 0));
}

static void run_list(struct limits_sweep *s)
{
    struct statement_list l = {0};
    if (!may_go_on(s)) {
        rest(s, RETRY_MS);
        return;
    }
    machine_go(&LIMITS_SWEEP, s->state, LISTING);
    statement_list_add(&l, SQL_LIST_TENANTS);
    param_text(&l, s->after);
    param_i64(&l, PAGE_TENANTS);
    statement_list_run(&l, s->pg, DEADLINE_MS, take_list, s);
}

static void take_stamp(void *owner, uint64_t stamp)
{
    struct limits_sweep *s = owner;
    if (closing_has_begun(&s->closing)) {
        closing_part_closed(&s->closing);
        return;
    }
    s->sweep_stamp = stamp;
    run_list(s);
}

static void run_stamp(struct limits_sweep *s)
{
    if (!may_go_on(s)) {
        rest(s, RETRY_MS);
        return;
    }
    machine_go(&LIMITS_SWEEP, s->state, STAMPING);
    redis_stamp_ask(s->context->redis, REDIS_STAMP_ANY, take_stamp, s);
}

/* counts: rows of state, number of events, age of the oldest in s, as count_events.sql and
 * count_waiting.sql give them. */
static void set_gauges(const PGresult *counts)
{
    for (int row = 0; row < PQntuples(counts); row++) {
        const char *state = result_text(counts, row, 0);
        metric_set(metric_with(METRIC_OF_WEBHOOKS, state), result_i64(counts, row, 1));
        if (!strcmp(state, "received"))
            metric_set(metric_with(METRIC_OF_OLDEST_WAITING, "webhooks"),
                       result_i64(counts, row, 2) * 1000);
    }
}

static void take_count(void *owner, const struct err *error, PGresult **results, int n)
{
    struct limits_sweep *s = owner;
    (void)n;
    if (must_rest(s, error)) {
        rest(s, RETRY_MS);
        return;
    }
    set_gauges(results[0]);
    if (s->sweeping)
        run_stamp(s);
    else if (s->hurried)
        rest(s, 0);
    else
        rest_until_due(s);
}

static void run_count(struct limits_sweep *s)
{
    struct statement_list l = {0};
    machine_go(&LIMITS_SWEEP, s->state, COUNTING);
    statement_list_add(&l, s->sweeping ? SQL_COUNT_EVENTS : SQL_COUNT_WAITING);
    if (s->sweeping) {
        statement_list_add(&l, SQL_FORGET_PAYLOADS);
        param_i64(&l, s->context->config->payload_keep_days);
        statement_list_add(&l, SQL_FORGET_OBSERVATIONS);
    }
    statement_list_run(&l, s->pg, DEADLINE_MS, take_count, s);
}

static void begin_sweep(struct limits_sweep *s)
{
    uv_timer_stop(&s->timer);
    if (!may_go_on(s)) {
        rest(s, RETRY_MS);
        return;
    }
    s->hurried = false;
    s->fills = s->is_lost;
    s->is_lost = false;
    s->sweeping = true;
    s->tenants = 0;
    s->sweeps = (s->sweeps + 1) % VERIFY_ALL_EVERY;
    free(s->after);
    s->after = NULL;
    run_count(s);
}

static void begin_if_resting(void *owner)
{
    struct limits_sweep *s = owner;
    if (s->state == RESTING && !closing_has_begun(&s->closing))
        begin_sweep(s);
}

void limits_sweep_hurry(struct limits_sweep *s)
{
    s->hurried = true;
    begin_if_resting(s);
}

void limits_sweep_fill(struct limits_sweep *s)
{
    s->is_lost = true;
    limits_sweep_hurry(s);
}

void limits_sweep_note_catalog(struct limits_sweep *s, int64_t version)
{
    bool is_about_to_read_it = s->sweeping && !s->after;
    if (!is_about_to_read_it && version != s->sweep_version)
        limits_sweep_hurry(s);
}

struct limits_sweep *limits_sweep_open(const struct context *context, struct limits *limits)
{
    struct limits_sweep *s = xcalloc(1, sizeof *s);
    s->context = context;
    s->limits = limits;
    s->catalog_version = -1;
    uv_timer_init(stage_loop(context->stage), &s->timer);
    s->timer.data = s;
    s->pg = pg_open(stage_loop(context->stage), context->config->base.database_url,
                    "meterline_webhookd", "meterline-webhookd-sweep",
                    (struct pg_events){.on_up = begin_if_resting, .owner = s});
    return s;
}

bool limits_sweep_is_idle(const struct limits_sweep *s)
{
    return s->state == RESTING || s->state == PAUSING;
}

static void release(void *self)
{
    struct limits_sweep *s = self;
    free(s->after);
    free(s);
}

void limits_sweep_close(struct limits_sweep *s)
{
    closing_begin(&s->closing, s, release, NULL, NULL);
    if (s->state == STAMPING || s->state == CACHING) /* their answer is still to come */
        closing_part(&s->closing);
    closing_handle(&s->closing, &s->timer);
    pg_close(s->pg, closing_part_closed, closing_part(&s->closing));
    closing_end(&s->closing);
}
