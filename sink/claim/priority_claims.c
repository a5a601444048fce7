/* Claims that cannot wait for the next tick.
 *
 *      RESTING --1 s--> ASKING --tenants--> CLAIMING --settled--> FORGETTING --> RESTING
 *                          |                    |
 *                          +--nobody--> RESTING +--edges only, or not done--> RESTING
 *
 * The failure modes: PostgreSQL is away, sinks are held, or another sink makes this run: a request
 * stays, and is looked at again a second later. It is forgotten only if it was not renewed. */
#include "sink/claim/priority_claims.h"

#include "common/clock.h"
#include "common/log.h"
#include "sink/claim/claim.h"
#include "sink/report.h"
#include "sink/session.h"
#include "sink/sql.h"

#include <assert.h>
#include <stdlib.h>

enum {
    LOOK_MS = 1000,
    DEADLINE_MS = 20000,
    EDGES_AN_INTERVAL = 10,
    EDGE_FASTEST_MS = 1000,
    EDGE_SLOWEST_MS = 10000,
    TENANTS_AT_ONCE = 5000 /* more are taken a second later */
};
enum urgent_state { RESTING, ASKING, CLAIMING, FORGETTING };

#define TO(state) (1u << (state))
static const unsigned MOVES[] = {
    [RESTING] = TO(ASKING),
    [ASKING] = TO(CLAIMING) | TO(RESTING),
    [CLAIMING] = TO(FORGETTING) | TO(RESTING),
    [FORGETTING] = TO(RESTING),
};

struct urgent {
    enum urgent_state state;
    bool stopping;
    bool claimed; /* this look wrote submissions */
    int64_t interval_ms;
    int64_t edge_ms;
    int64_t edges_at_ms; /* monotonic: when edges are due */
    char *edge_after;    /* the tenant behind which they go on; "" begins */
    uv_timer_t timer;
    struct session *session;
    struct claimer *claimer;
    struct pg_array tenants;  /* to claim; those who asked come first */
    struct pg_array asked;    /* tenants who asked … */
    struct pg_array asked_at; /* … and when, for forgetting them */
    int handles;
    void (*on_rest)(void *owner, bool claimed);
    void *owner;
    void (*closed)(void *owner);
    void *closed_owner;
};

int64_t urgent_edge_ms(int64_t interval_s)
{
    int64_t ms = interval_s * 1000 / EDGES_AN_INTERVAL;
    if (ms < EDGE_FASTEST_MS)
        return EDGE_FASTEST_MS;
    return ms > EDGE_SLOWEST_MS ? EDGE_SLOWEST_MS : ms;
}

static void urgent_go(struct urgent *u, enum urgent_state next)
{
    assert(MOVES[u->state] & TO(next));
    u->state = next;
}

static void rest(struct urgent *u)
{
    urgent_go(u, RESTING);
    u->on_rest(u->owner, u->claimed);
}

/* The requests. */

static void take_forgotten(void *owner, const struct err *error, PGresult **results, int n)
{
    (void)error; /* they are still there, and are claimed once more */
    (void)results;
    (void)n;
    rest(owner);
}

static void run_forget(struct urgent *u)
{
    struct pg_statement s;
    urgent_go(u, FORGETTING);
    pg_statement_init(&s, SQL_FORGET_SETTLED);
    pg_add_array(&s, &u->asked);
    pg_add_array(&s, &u->asked_at);
    session_run(u->session, &s, 1, DEADLINE_MS, take_forgotten, u);
}

/* Claiming. */

static void log_claims(const struct urgent *u, const struct claim_report *report)
{
    if (u->asked.count > 0)
        log_info(settled_at_once, LOG_I64("tenants", u->asked.count),
                 LOG_I64("claimed", report->made), LOG_I64("late", report->late));
    else if (report->made > 0)
        log_info(edges_claimed, LOG_I64("tenants", u->tenants.count),
                 LOG_I64("claimed", report->made), LOG_I64("late", report->late));
}

static void take_claims(void *owner, const struct err *error, const struct claim_report *report)
{
    struct urgent *u = owner;
    bool done = !error && !report->busy && !report->on_hold && !report->doubt;
    u->claimed = report->made > 0;
    report_claims(report->made);
    if (error)
        log_warn(claim_delayed, LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
    if (done)
        log_claims(u, report);
    if (done && u->asked.count > 0 && session_is_idle(u->session))
        run_forget(u);
    else
        rest(u);
}

static void run_claim(struct urgent *u)
{
    const struct claim_order order = {.run = CLAIM_RUN_URGENT, .tenants = &u->tenants};
    urgent_go(u, CLAIMING);
    claimer_start(u->claimer, &order, take_claims, u);
}

/* Looking. */

static void take_requests(struct urgent *u, const PGresult *rows)
{
    for (int row = 0; row < PQntuples(rows); row++) {
        pg_array_add_text(&u->tenants, PQgetvalue(rows, row, 0));
        pg_array_add_text(&u->asked, PQgetvalue(rows, row, 0));
        pg_array_add_i64(&u->asked_at, pg_get_i64(rows, row, 1));
    }
}

static void take_edges(struct urgent *u, const PGresult *rows)
{
    int n = PQntuples(rows);
    bool more = n == TENANTS_AT_ONCE;
    for (int row = 0; row < n; row++)
        pg_array_add_text(&u->tenants, PQgetvalue(rows, row, 0));
    free(u->edge_after);
    u->edge_after = xstrdup(more ? PQgetvalue(rows, n - 1, 0) : "");
    u->edges_at_ms = clock_monotonic_ms() + (more ? 0 : u->edge_ms);
}

static void take_answer(void *owner, const struct err *error, PGresult **results, int n)
{
    struct urgent *u = owner;
    if (error) {
        if (error->kind == ERR_REFUSED)
            log_warn(claim_delayed, LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
        rest(u);
        return;
    }
    take_requests(u, results[0]);
    if (n > 1)
        take_edges(u, results[1]);
    if (u->tenants.count > 0 && !u->stopping && session_is_idle(u->session))
        run_claim(u);
    else
        rest(u);
}

static void add_edges(struct urgent *u, struct pg_statement *s, unsigned char numbers[2][8])
{
    pg_statement_init(s, SQL_READ_EDGES);
    pg_add_i64(s, u->interval_ms, numbers[0]);
    pg_add_text(s, u->edge_after);
    pg_add_i64(s, TENANTS_AT_ONCE, numbers[1]);
}

static void run_ask(struct urgent *u)
{
    struct pg_statement s[2];
    unsigned char numbers[3][8];
    int n = 1;
    urgent_go(u, ASKING);
    u->claimed = false;
    pg_array_clear(&u->tenants);
    pg_array_clear(&u->asked);
    pg_array_clear(&u->asked_at);
    pg_statement_init(&s[0], SQL_READ_SETTLES);
    pg_add_i64(&s[0], TENANTS_AT_ONCE, numbers[2]);
    s[0].binary_result = true;
    if (clock_monotonic_ms() >= u->edges_at_ms)
        add_edges(u, &s[n++], numbers);
    session_run(u->session, s, n, DEADLINE_MS, take_answer, u);
}

static void on_look(uv_timer_t *timer)
{
    struct urgent *u = timer->data;
    if (u->state == RESTING && !u->stopping && session_is_idle(u->session))
        run_ask(u);
}

static void on_usable(void *owner)
{
    (void)owner; /* the next look finds it so */
}

struct urgent *urgent_open(struct stage *stage, const char *database_url, int64_t interval_s,
                           void (*on_rest)(void *owner, bool claimed), void *owner)
{
    struct urgent *u = xcalloc(1, sizeof *u);
    u->interval_ms = interval_s * 1000;
    u->edge_ms = urgent_edge_ms(interval_s);
    u->edge_after = xstrdup("");
    pg_array_init(&u->tenants, PG_TEXT);
    pg_array_init(&u->asked, PG_TEXT);
    pg_array_init(&u->asked_at, PG_TIMESTAMPTZ);
    u->on_rest = on_rest;
    u->owner = owner;
    u->session = session_open(stage, database_url, "urgent",
                              (struct session_events){.on_usable = on_usable, .owner = u});
    u->claimer = claimer_new(u->session);
    u->handles = 2; /* session and timer */
    uv_timer_init(stage_loop(stage), &u->timer);
    u->timer.data = u;
    uv_timer_start(&u->timer, on_look, LOOK_MS, LOOK_MS);
    return u;
}

void urgent_stop(struct urgent *u)
{
    u->stopping = true;
    claimer_stop(u->claimer);
}

bool urgent_is_resting(const struct urgent *u)
{
    return u->state == RESTING;
}

static void release(struct urgent *u)
{
    if (--u->handles > 0)
        return;
    void (*closed)(void *) = u->closed;
    void *owner = u->closed_owner;
    claimer_free(u->claimer);
    pg_array_done(&u->tenants);
    pg_array_done(&u->asked);
    pg_array_done(&u->asked_at);
    free(u->edge_after);
    free(u);
    closed(owner);
}

static void on_session_closed(void *owner)
{
    release(owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void urgent_close(struct urgent *u, void (*closed)(void *owner), void *owner)
{
    u->closed = closed;
    u->closed_owner = owner;
    uv_close((uv_handle_t *)&u->timer, on_timer_closed);
    session_close(u->session, on_session_closed, u);
}
