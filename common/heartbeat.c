#include "common/heartbeat.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/contract.h"
#include "common/log.h"
#include "common/pg/pg.h"
#include "common/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TICK_MS = 1000, BEAT_EVERY_MS = 5000, DEADLINE_MS = 5000, NAME_SIZE = 80, HOST_SIZE = 256 };

#define SQLSTATE_UNDEFINED_TABLE "42P01"

struct heartbeat {
    struct heartbeat_terms terms;
    char instance[NAME_SIZE];
    char host[HOST_SIZE];
    char program[NAME_SIZE];
    struct pg *pg;
    uv_timer_t tick;
    int64_t started_ms; /* monotonic */
    int64_t due_ms;     /* monotonic; of the next heartbeat */
    bool ready;         /* as last told */
    bool noted;         /* the row may be there */
    bool beating;
    struct closing closing;
    void (*left)(void *owner);
    void *left_owner;
    struct log_repeat failures;
};

static void tell_failure(struct heartbeat *h, const struct err *error)
{
    uint64_t held;
    /* That PostgreSQL is away or not migrated yet is logged by the stage's own connections. */
    if (error->kind != ERR_REFUSED || strcmp(error->sqlstate, SQLSTATE_UNDEFINED_TABLE) == 0)
        return;
    if (log_repeat_failed(&h->failures, clock_monotonic_ms(), &held))
        log_warn(heartbeat_failed, LOG_U64("held_back", held), LOG_ERR(error));
}

static void take_leave(void *owner, const struct err *error, PGresult **results, int n)
{
    struct heartbeat *h = owner;
    (void)error; /* the row grows old then, and other processes delete it */
    (void)results;
    (void)n;
    if (!closing_has_begun(&h->closing))
        h->left(h->left_owner);
}

static void run_leave(struct heartbeat *h)
{
    struct pg_statement s;
    if (!pg_is_ready(h->pg)) {
        h->left(h->left_owner);
        return;
    }
    pg_statement_init(&s, SQL_FORGET_INSTANCE);
    pg_add_text(&s, h->instance);
    pg_run(h->pg, &s, 1, DEADLINE_MS, take_leave, h);
}

static void take_beat(void *owner, const struct err *error, PGresult **results, int n)
{
    struct heartbeat *h = owner;
    (void)results;
    (void)n;
    h->beating = false;
    if (closing_has_begun(&h->closing))
        return;
    if (error)
        tell_failure(h, error);
    else
        log_repeat_recovered(&h->failures);
    if (h->left)
        run_leave(h);
}

static void run_beat(struct heartbeat *h, bool ready, const char *reason)
{
    struct pg_statement s;
    unsigned char pid[8], age[8];
    pg_statement_init(&s, SQL_NOTE_INSTANCE);
    pg_add_text(&s, h->instance);
    pg_add_text(&s, h->terms.stage);
    pg_add_text(&s, METERLINE_VERSION);
    pg_add_text(&s, h->host);
    pg_add_i64(&s, getpid(), pid);
    pg_add_text(&s, ready ? "t" : "f");
    pg_add_text(&s, reason);
    pg_add_i64(&s, clock_monotonic_ms() - h->started_ms, age);
    h->ready = ready;
    h->noted = h->beating = true;
    h->due_ms = clock_monotonic_ms() + BEAT_EVERY_MS;
    pg_run(h->pg, &s, 1, DEADLINE_MS, take_beat, h);
}

static void consider(struct heartbeat *h)
{
    struct buf why = {0};
    if (h->left || closing_has_begun(&h->closing) || !pg_is_ready(h->pg))
        return;
    bool ready = h->terms.ready(h->terms.owner, &why);
    buf_join_lines(&why);
    if (ready != h->ready || clock_monotonic_ms() >= h->due_ms)
        run_beat(h, ready, why.length > 0 ? why.data : NULL);
    buf_done(&why);
}

static void on_tick(uv_timer_t *timer)
{
    consider(timer->data);
}

static void on_up(void *owner)
{
    struct heartbeat *h = owner;
    h->due_ms = 0;
    consider(h);
}

bool heartbeat_leave(struct heartbeat *h, void (*left)(void *owner), void *owner)
{
    if (!h->noted || (!h->beating && !pg_is_ready(h->pg)))
        return false;
    h->left = left;
    h->left_owner = owner;
    if (!h->beating)
        run_leave(h);
    return true;
}

struct heartbeat *heartbeat_open(uv_loop_t *loop, const struct heartbeat_terms *terms)
{
    struct heartbeat *h = xcalloc(1, sizeof *h);
    char role[NAME_SIZE];
    char id[UUID_TEXT_SIZE];
    h->terms = *terms;
    uuid_v7(clock_unix_ms(), id);
    (void)snprintf(h->instance, sizeof h->instance, "%s", terms->instance ? terms->instance : id);
    (void)snprintf(role, sizeof role, "meterline_%s", terms->stage);
    (void)snprintf(h->program, sizeof h->program, "meterline-%s heartbeat", terms->stage);
    if (gethostname(h->host, sizeof h->host - 1))
        (void)snprintf(h->host, sizeof h->host, "localhost");
    h->started_ms = clock_monotonic_ms();
    h->pg =
        pg_open(loop, terms->url, role, h->program, (struct pg_events){.on_up = on_up, .owner = h});
    uv_timer_init(loop, &h->tick);
    h->tick.data = h;
    uv_timer_start(&h->tick, on_tick, TICK_MS, TICK_MS);
    return h;
}

void heartbeat_close(struct heartbeat *h)
{
    closing_begin(&h->closing, h, free, NULL, NULL);
    closing_handle(&h->closing, &h->tick);
    pg_close(h->pg, closing_part_closed, closing_part(&h->closing));
    closing_end(&h->closing);
}
