#include "notifier/watch/watch.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/metric_table.h"
#include "common/peer.h"
#include "common/pg/pg.h"
#include "notifier/sql.h"

#include <stdlib.h>

enum {
    DEADLINE_MS = 60000,
    LOOK_MS = 500,
    RETRY_MS = 1000, /* while PostgreSQL is away or refuses */
    SELDOM_MS = 60000,
    HARDLY_EVER_MS = 300000,
    CHECKS_MAX = 1000, /* notes in one transaction */
    NUMBER_SIZE = 8
};

enum watch_state { RESTING, ASKING };

static const struct machine WATCH = {
    "watch",
    {[RESTING] = {"resting", TO(RESTING) | TO(ASKING)}, [ASKING] = {"asking", TO(RESTING)}}};

enum task_id { ALERTS, SUMS, NOT_INVOICED, DOUBLED, TASKS };

struct watch {
    const struct context *context;
    struct pg *pg;
    uv_timer_t timer;
    enum watch_state state;
    enum task_id asking;
    int64_t due_ms[TASKS]; /* monotonic */
    struct log_repeat refused;
    struct closing closing;
};

/* What the answers tell. Each returns how soon to ask again, ms. */

static int64_t take_alerts(const PGresult *r)
{
    int64_t checked = pg_get_i64(r, 0, 0);
    int64_t raised = pg_get_i64(r, 0, 1);
    metric_add(metric_of(METRIC_OF_ALERTS_RAISED, ""), raised);
    if (raised > 0)
        log_info(alerts_raised, LOG_I64("alerts", raised), LOG_I64("checked", checked));
    return checked == CHECKS_MAX ? 0 : LOOK_MS;
}

static int64_t take_sums(const PGresult *r)
{
    (void)r;
    return SELDOM_MS;
}

static int64_t take_not_invoiced(const PGresult *r)
{
    for (int row = 0; row < PQntuples(r); row++)
        metric_set(metric_with(METRIC_OF_NOT_INVOICED, PQgetvalue(r, row, 0)),
                   pg_get_i64(r, row, 1));
    return HARDLY_EVER_MS;
}

static int64_t take_doubled(const PGresult *r)
{
    int64_t tenants = pg_get_i64(r, 0, 0);
    if (tenants > 0)
        log_warn(subscriptions_doubled, LOG_I64("tenants", tenants),
                 LOG_STR("first", PQgetvalue(r, 0, 1)),
                 LOG_MSG("a tenant has several subscriptions that stand: each bills its usage, and "
                         "one alone decides its limits; end what is too many"));
    return DAY_MS;
}

static const struct task {
    const char *sql;
    int64_t (*take)(const PGresult *r);
} WATCHED[TASKS] = {[ALERTS] = {SQL_RAISE_ALERTS, take_alerts},
                    [SUMS] = {SQL_TELL_SUMS, take_sums},
                    [NOT_INVOICED] = {SQL_TELL_NOT_INVOICED, take_not_invoiced},
                    [DOUBLED] = {SQL_COUNT_DOUBLED, take_doubled}};

/* One task at a time. */

static void step(struct watch *w);

static void on_timer(uv_timer_t *timer)
{
    step(timer->data);
}

static void rest(struct watch *w, uint64_t wait_ms)
{
    machine_go(&WATCH, w->state, RESTING);
    if (!closing_has_begun(&w->closing))
        uv_timer_start(&w->timer, on_timer, wait_ms, 0);
    w->context->on_idle(w->context->owner);
}

static void take(void *owner, const struct err *error, PGresult **results, int n)
{
    struct watch *w = owner;
    uint64_t held;
    (void)n;
    if (error && error->kind == ERR_REFUSED &&
        log_repeat_failed(&w->refused, clock_monotonic_ms(), &held))
        log_error(outbox_refused, LOG_STR("channel", "all"), LOG_U64("held_back", held),
                  LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
    if (error) {
        rest(w, RETRY_MS);
        return;
    }
    log_repeat_recovered(&w->refused);
    w->due_ms[w->asking] = clock_monotonic_ms() + WATCHED[w->asking].take(results[0]);
    rest(w, 0);
}

static void run(struct watch *w, enum task_id task)
{
    unsigned char most[NUMBER_SIZE];
    struct pg_statement s;
    machine_go(&WATCH, w->state, ASKING);
    w->asking = task;
    pg_statement_init(&s, WATCHED[task].sql);
    s.binary_result = true;
    if (task == ALERTS)
        pg_add_i64(&s, CHECKS_MAX, most);
    pg_run(w->pg, &s, 1, DEADLINE_MS, take, w);
}

static void step(struct watch *w)
{
    int64_t now_ms = clock_monotonic_ms();
    if (w->state != RESTING || closing_has_begun(&w->closing))
        return;
    if (!pg_is_ready(w->pg) || !w->context->schema_ready || stage_is_draining(w->context->stage)) {
        rest(w, RETRY_MS);
        return;
    }
    /* Thresholds before all else. */
    for (enum task_id task = 0; task < TASKS; task++) {
        if (w->due_ms[task] <= now_ms) {
            run(w, task);
            return;
        }
    }
    rest(w, (uint64_t)(w->due_ms[ALERTS] - now_ms));
}

static void on_up(void *owner)
{
    step(owner);
}

static void on_down(void *owner, const struct err *error)
{
    (void)owner, (void)error;
}

struct watch *watch_open(const struct context *context)
{
    struct watch *w = xcalloc(1, sizeof *w);
    w->context = context;
    uv_timer_init(stage_loop(context->stage), &w->timer);
    w->timer.data = w;
    w->pg = pg_open(stage_loop(context->stage), context->config->base.database_url, NOTIFIER_ROLE,
                    "meterline-notifier-watch",
                    (struct pg_events){.on_up = on_up, .on_down = on_down, .owner = w});
    return w;
}

bool watch_is_idle(const struct watch *w)
{
    return w->state == RESTING;
}

bool watch_is_ready(const struct watch *w, struct buf *why)
{
    if (!pg_is_up(w->pg))
        peer_add_why(PEER_POSTGRES, why);
    return pg_is_up(w->pg);
}

void watch_close(struct watch *w)
{
    closing_begin(&w->closing, w, free, NULL, NULL);
    closing_handle(&w->closing, &w->timer);
    pg_close(w->pg, closing_part_closed, closing_part(&w->closing));
    closing_end(&w->closing);
}
