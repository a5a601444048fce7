/*      AWAY --up--> CHECKING --ok--> USABLE          (CHECKING --older schema--> WAITING --1 s--+)
 *       ^              ^  |            |                  ^                                     |
 *       |              +--)------------)------------------)-------------------------------------+
 *       +--- lost --------+------------+------------------+ */
#include "sink/session.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/peer.h"
#include "common/pg/schema.h"

#include <assert.h>
#include <stdlib.h>

enum { RECHECK_MS = 1000 };
enum session_state { AWAY, CHECKING, WAITING, USABLE, CLOSING };

static const struct machine SESSION = {
    "session",
    {[AWAY] = {"away", TO(AWAY) | TO(CHECKING) | TO(CLOSING)},
     [CHECKING] = {"checking", TO(AWAY) | TO(WAITING) | TO(USABLE) | TO(CLOSING)},
     [WAITING] = {"waiting", TO(AWAY) | TO(CHECKING) | TO(CLOSING)},
     [USABLE] = {"usable", TO(AWAY) | TO(CLOSING)},
     [CLOSING] = {"closing", 0}}};

struct session {
    struct stage *stage;
    struct pg *pg;
    uv_timer_t timer; /* to the next check */
    enum session_state state;
    struct session_events events;
    struct err problem; /* of the schema */
    struct log_repeat refusals;
    struct closing closing;
};

static void on_recheck(uv_timer_t *timer);

static void take_refusal(struct session *s, const struct err *error)
{
    uint64_t suppressed;
    s->problem = *error;
    machine_go(&SESSION, s->state, WAITING);
    if (log_repeat_failed(&s->refusals, clock_monotonic_ms(), &suppressed))
        log_event(error->retry ? LOG_WARN : LOG_ERROR,
                  error->retry ? LOG_OF_schema_waited : LOG_OF_schema_refused,
                  LOG_U64("held_back", suppressed), LOG_ERR(error));
    if (!error->retry)
        stage_finish(s->stage, EXIT_FAILED);
    else
        uv_timer_start(&s->timer, on_recheck, RECHECK_MS, 0);
}

static void take_schema(void *owner, const struct err *error)
{
    struct session *s = owner;
    /* The connection may have gone meanwhile: on_down tells. */
    if (s->state != CHECKING)
        return;
    if (error && error->kind == ERR_SCHEMA) {
        take_refusal(s, error);
        return;
    }
    if (error) {
        machine_go(&SESSION, s->state, AWAY);
        if (pg_is_up(s->pg))
            pg_reset(s->pg);
        return;
    }
    machine_go(&SESSION, s->state, USABLE);
    if (log_repeat_recovered(&s->refusals))
        log_info(schema_accepted, LOG_MSG("the schema is current"));
    s->events.on_usable(s->events.owner);
}

static void run_check(struct session *s)
{
    machine_go(&SESSION, s->state, CHECKING);
    schema_check(s->pg, take_schema, s);
}

static void on_recheck(uv_timer_t *timer)
{
    run_check(timer->data);
}

static void on_up(void *owner)
{
    struct session *s = owner;
    if (s->state == AWAY)
        run_check(s);
}

static void on_down(void *owner, const struct err *error)
{
    struct session *s = owner;
    (void)error;
    if (s->state == CLOSING)
        return;
    uv_timer_stop(&s->timer);
    machine_go(&SESSION, s->state, AWAY);
}

struct session *session_open(struct stage *stage, const char *url, const char *name,
                             struct session_events events)
{
    struct session *s = xcalloc(1, sizeof *s);
    s->stage = stage;
    s->events = events;
    uv_timer_init(stage_loop(stage), &s->timer);
    s->timer.data = s;
    char *application_name = xasprintf("meterline-sink %s", name);
    s->pg = pg_open(stage_loop(stage), url, "meterline_sink", application_name,
                    (struct pg_events){.on_up = on_up, .on_down = on_down, .owner = s});
    free(application_name);
    return s;
}

bool session_is_idle(const struct session *s)
{
    return s->state == USABLE && pg_is_ready(s->pg);
}

bool session_is_usable(const struct session *s, struct buf *why)
{
    if (s->state == USABLE && pg_is_up(s->pg))
        return true;
    if (s->state == WAITING)
        buf_printf(why, "postgres: %s\n", s->problem.text);
    else
        peer_add_why(PEER_POSTGRES, why);
    return false;
}

void session_run(struct session *s, const struct pg_statement *statements, int n,
                 uint64_t deadline_ms, pg_done_fn done, void *owner)
{
    assert(session_is_idle(s));
    pg_run(s->pg, statements, n, deadline_ms, done, owner);
}

void session_stream(struct session *s, const struct pg_statement *statement, uint64_t deadline_ms,
                    pg_row_fn on_row, pg_done_fn done, void *owner)
{
    assert(session_is_idle(s));
    pg_stream(s->pg, statement, deadline_ms, on_row, done, owner);
}

struct pg *session_pg(struct session *s)
{
    assert(session_is_idle(s));
    return s->pg;
}

void session_close(struct session *s, void (*closed)(void *owner), void *owner)
{
    machine_go(&SESSION, s->state, CLOSING);
    closing_begin(&s->closing, s, free, closed, owner);
    closing_handle(&s->closing, &s->timer);
    pg_close(s->pg, closing_part_closed, closing_part(&s->closing));
    closing_end(&s->closing);
}
