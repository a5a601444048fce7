#include "notifier/upkeep.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/metric_table.h"
#include "common/peer.h"
#include "common/pg/pg.h"
#include "common/pg/schema.h"
#include "notifier/sql.h"

#include <stdlib.h>

enum {
    DEADLINE_MS = 20000,
    RETRY_MS = 1000, /* while the schema is older, or PostgreSQL refuses */
    COUNT_EVERY_MS = 10000,
    FORGET_EVERY_MS = HOUR_MS,
    FORGET_PAGE = 1000,
    NUMBER_SIZE = 8
};

enum upkeep_state { RESTING, CHECKING, STARTING, COUNTING, FORGETTING };

static const struct machine UPKEEP = {
    "upkeep",
    {[RESTING] = {"resting", TO(RESTING) | TO(CHECKING) | TO(COUNTING) | TO(FORGETTING)},
     [CHECKING] = {"checking", TO(RESTING) | TO(STARTING) | TO(COUNTING)},
     [STARTING] = {"starting to listen", TO(RESTING) | TO(COUNTING)},
     [COUNTING] = {"counting", TO(RESTING)},
     [FORGETTING] = {"forgetting", TO(RESTING) | TO(FORGETTING)}}};

struct upkeep {
    const struct context *context;
    struct upkeep_events events;
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
    if (!closing_has_begun(&u->closing))
        uv_timer_start(&u->timer, on_timer, wait_ms, 0);
    u->context->on_idle(u->context->owner);
}

static bool rest_on_error(struct upkeep *u, const struct err *error)
{
    uint64_t held;
    if (!error && !closing_has_begun(&u->closing)) {
        log_repeat_recovered(&u->refused);
        return false;
    }
    if (error && error->kind == ERR_REFUSED &&
        log_repeat_failed(&u->refused, clock_monotonic_ms(), &held))
        log_error(outbox_refused, LOG_STR("channel", "all"), LOG_U64("held_back", held),
                  LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
    rest(u, RETRY_MS);
    return true;
}

/* Deletes what is old. */

static void run_forget(struct upkeep *u);

static void take_forgotten(void *owner, const struct err *error, PGresult **results, int n)
{
    struct upkeep *u = owner;
    (void)n;
    if (rest_on_error(u, error))
        return;
    if (strtol(PQcmdTuples(results[0]), NULL, 10) == FORGET_PAGE)
        run_forget(u);
    else
        rest(u, COUNT_EVERY_MS);
}

static void run_forget(struct upkeep *u)
{
    unsigned char days[NUMBER_SIZE], page[NUMBER_SIZE];
    struct pg_statement s[2];
    machine_go(&UPKEEP, u->state, FORGETTING);
    u->forgot_ms = clock_monotonic_ms();
    pg_statement_init(&s[0], SQL_FORGET_MESSAGES);
    pg_add_i64(&s[0], u->context->config->keep_days, days);
    pg_add_i64(&s[0], FORGET_PAGE, page);
    pg_statement_init(&s[1], SQL_FORGET_ADDRESSES);
    pg_run(u->pg, s, 2, DEADLINE_MS, take_forgotten, u);
}

/* Counts what waits. */

static void set_messages(const char *channel, const char *state, int64_t n)
{
    struct buf labels = {0};
    buf_printf(&labels, "channel=\"%s\",state=\"%s\"", channel, state);
    metric_set(metric_of(METRIC_OF_MESSAGES, labels.data), n);
    buf_done(&labels);
}

static void set_oldest(const char *channel, int64_t age_ms)
{
    struct buf queue = {0};
    buf_printf(&queue, "messages_%s", channel);
    metric_set(metric_with(METRIC_OF_OLDEST_WAITING, queue.data), age_ms);
    buf_done(&queue);
}

static void take_count(void *owner, const struct err *error, PGresult **results, int n)
{
    struct upkeep *u = owner;
    (void)n;
    if (rest_on_error(u, error))
        return;
    for (int row = 0; row < PQntuples(results[0]); row++) {
        const char *channel = PQgetvalue(results[0], row, 0);
        set_messages(channel, "waiting", pg_get_i64(results[0], row, 1));
        set_messages(channel, "failed", pg_get_i64(results[0], row, 2));
        set_oldest(channel, pg_get_i64(results[0], row, 3));
    }
    rest(u, u->forgot_ms ? COUNT_EVERY_MS : 0);
}

static void run_count(struct upkeep *u)
{
    struct pg_statement s;
    machine_go(&UPKEEP, u->state, COUNTING);
    pg_statement_init(&s, SQL_COUNT_MESSAGES);
    s.binary_result = true;
    pg_run(u->pg, &s, 1, DEADLINE_MS, take_count, u);
}

/* A new connection. */

static void take_listening(void *owner, const struct err *error, PGresult **results, int n)
{
    struct upkeep *u = owner;
    (void)results, (void)n;
    u->is_checked = !error;
    if (rest_on_error(u, error))
        return;
    u->events.on_listening(u->events.owner, true);
    run_count(u);
}

static void take_schema(void *owner, const struct err *error)
{
    struct upkeep *u = owner;
    struct pg_statement s;
    uint64_t held;
    u->events.on_schema(u->events.owner, error == NULL);
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
    if (!pg_is_direct(u->pg)) {
        u->is_checked = true;
        u->events.on_listening(u->events.owner, false);
        run_count(u);
        return;
    }
    machine_go(&UPKEEP, u->state, STARTING);
    pg_statement_init(&s, SQL_LISTEN);
    pg_run(u->pg, &s, 1, DEADLINE_MS, take_listening, u);
}

static void step(struct upkeep *u)
{
    if (u->state != RESTING || closing_has_begun(&u->closing))
        return;
    if (!pg_is_ready(u->pg) || stage_is_draining(u->context->stage)) {
        rest(u, RETRY_MS);
    } else if (!u->is_checked) {
        machine_go(&UPKEEP, u->state, CHECKING);
        schema_check(u->pg, take_schema, u);
    } else if (!u->forgot_ms || clock_monotonic_ms() - u->forgot_ms >= FORGET_EVERY_MS) {
        run_forget(u);
    } else {
        run_count(u);
    }
}

static void on_up(void *owner)
{
    step(owner);
}

static void on_down(void *owner, const struct err *error)
{
    struct upkeep *u = owner;
    (void)error;
    u->is_checked = false;
}

static void on_notified(void *owner)
{
    struct upkeep *u = owner;
    u->events.on_message(u->events.owner);
}

struct upkeep *upkeep_open(const struct context *context, struct upkeep_events events)
{
    struct upkeep *u = xcalloc(1, sizeof *u);
    u->context = context;
    u->events = events;
    uv_timer_init(stage_loop(context->stage), &u->timer);
    u->timer.data = u;
    u->pg =
        pg_open(stage_loop(context->stage), context->config->base.database_url, NOTIFIER_ROLE,
                "meterline-notifier-upkeep",
                (struct pg_events){
                    .on_up = on_up, .on_down = on_down, .on_notified = on_notified, .owner = u});
    return u;
}

bool upkeep_is_idle(const struct upkeep *u)
{
    return u->state == RESTING;
}

bool upkeep_is_ready(const struct upkeep *u, struct buf *why)
{
    if (!pg_is_up(u->pg))
        peer_add_why(PEER_POSTGRES, why);
    else if (!u->context->schema_ready)
        buf_add_str(why, "postgres: the schema is missing or older, or is being checked; see "
                         "`meterctl migrate`\n");
    return pg_is_up(u->pg) && u->context->schema_ready;
}

void upkeep_close(struct upkeep *u)
{
    closing_begin(&u->closing, u, free, NULL, NULL);
    closing_handle(&u->closing, &u->timer);
    pg_close(u->pg, closing_part_closed, closing_part(&u->closing));
    closing_end(&u->closing);
}
