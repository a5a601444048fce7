/*      RESTING --1 s--> ASKING --tenants--> CLAIMING --settled--> FORGETTING --> RESTING
 *                          |                    |
 *                          +--nobody--> RESTING +--no requests, or not done--> RESTING
 *
 * The failure modes: PostgreSQL is away, sinks are held, or another sink makes this run: a request
 * stays, and is looked at again a second later. It is forgotten only if it was not renewed. */
#include "sink/claim/priority_claims.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/log.h"
#include "common/machine.h"
#include "sink/claim/claim.h"
#include "sink/report.h"
#include "sink/session.h"
#include "sink/sql.h"

#include <stdlib.h>

enum {
    LOOK_MS = 1000,
    DEADLINE_MS = 20000,
    LOOKS_AN_INTERVAL = 10,
    ENDS_PAUSE_MIN_MS = 1000,
    ENDS_PAUSE_MAX_MS = 10000,
    TENANTS_AT_ONCE = 5000 /* more are taken a second later */
};
enum priority_state { RESTING, ASKING, CLAIMING, FORGETTING };

static const struct machine PRIORITY = {"priority_claims",
                                        {[RESTING] = {"resting", TO(ASKING)},
                                         [ASKING] = {"asking", TO(CLAIMING) | TO(RESTING)},
                                         [CLAIMING] = {"claiming", TO(FORGETTING) | TO(RESTING)},
                                         [FORGETTING] = {"forgetting", TO(RESTING)}}};

struct priority_claims {
    enum priority_state state;
    bool stopping;
    bool claimed; /* this look wrote submissions */
    int64_t interval_ms;
    int64_t ends_pause_ms;
    int64_t ends_due_ms; /* monotonic: when ends of periods are looked for next */
    char *ends_after;    /* the tenant after which that goes on; "" begins */
    uv_timer_t timer;
    struct session *session;
    struct claimer *claimer;
    struct pg_array tenants;  /* to claim; those who asked come first */
    struct pg_array asked;    /* tenants who asked … */
    struct pg_array asked_at; /* … and when, for forgetting them */
    void (*on_rest)(void *owner, bool claimed);
    void *owner;
    struct closing closing;
};

int64_t priority_claims_ends_pause_ms(int64_t interval_s)
{
    int64_t ms = interval_s * 1000 / LOOKS_AN_INTERVAL;
    if (ms < ENDS_PAUSE_MIN_MS)
        return ENDS_PAUSE_MIN_MS;
    return ms > ENDS_PAUSE_MAX_MS ? ENDS_PAUSE_MAX_MS : ms;
}

static void rest(struct priority_claims *p)
{
    machine_go(&PRIORITY, p->state, RESTING);
    p->on_rest(p->owner, p->claimed);
}

/* The requests. */

static void take_forgotten(void *owner, const struct err *error, PGresult **results, int n)
{
    (void)error; /* they are still there, and are claimed once more */
    (void)results;
    (void)n;
    rest(owner);
}

static void run_forget(struct priority_claims *p)
{
    struct pg_statement s;
    machine_go(&PRIORITY, p->state, FORGETTING);
    pg_statement_init(&s, SQL_FORGET_CLAIM_REQUESTS);
    pg_add_array(&s, &p->asked);
    pg_add_array(&s, &p->asked_at);
    session_run(p->session, &s, 1, DEADLINE_MS, take_forgotten, p);
}

/* Claiming. */

static void log_claims(const struct priority_claims *p, const struct claim_report *report)
{
    if (p->asked.count > 0)
        log_info(claimed_before_cycle, LOG_I64("tenants", p->asked.count),
                 LOG_I64("claimed", report->made), LOG_I64("late", report->late));
    else if (report->made > 0)
        log_info(period_ends_claimed, LOG_I64("tenants", p->tenants.count),
                 LOG_I64("claimed", report->made), LOG_I64("late", report->late));
}

static void take_claims(void *owner, const struct err *error, const struct claim_report *report)
{
    struct priority_claims *p = owner;
    bool done = !error && !report->busy && !report->on_hold && !report->unchecked;
    p->claimed = report->made > 0;
    report_claims(report->made);
    if (error)
        log_warn(claim_delayed, LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
    if (done)
        log_claims(p, report);
    if (done && p->asked.count > 0 && session_is_idle(p->session))
        run_forget(p);
    else
        rest(p);
}

static void run_claim(struct priority_claims *p)
{
    const struct claim_order order = {.run = CLAIM_RUN_PRIORITY, .tenants = &p->tenants};
    machine_go(&PRIORITY, p->state, CLAIMING);
    claimer_start(p->claimer, &order, take_claims, p);
}

/* Looking. */

static void own_requests(struct priority_claims *p, const PGresult *rows)
{
    for (int row = 0; row < PQntuples(rows); row++) {
        pg_array_add_text(&p->tenants, PQgetvalue(rows, row, 0));
        pg_array_add_text(&p->asked, PQgetvalue(rows, row, 0));
        pg_array_add_i64(&p->asked_at, pg_get_i64(rows, row, 1));
    }
}

static void own_period_ends(struct priority_claims *p, const PGresult *rows)
{
    int n = PQntuples(rows);
    bool more = n == TENANTS_AT_ONCE;
    for (int row = 0; row < n; row++)
        pg_array_add_text(&p->tenants, PQgetvalue(rows, row, 0));
    free(p->ends_after);
    p->ends_after = xstrdup(more ? PQgetvalue(rows, n - 1, 0) : "");
    p->ends_due_ms = clock_monotonic_ms() + (more ? 0 : p->ends_pause_ms);
}

static void take_answer(void *owner, const struct err *error, PGresult **results, int n)
{
    struct priority_claims *p = owner;
    if (error) {
        if (error->kind == ERR_REFUSED)
            log_warn(claim_delayed, LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
        rest(p);
        return;
    }
    own_requests(p, results[0]);
    if (n > 1)
        own_period_ends(p, results[1]);
    if (p->tenants.count > 0 && !p->stopping && session_is_idle(p->session))
        run_claim(p);
    else
        rest(p);
}

static void run_ask(struct priority_claims *p)
{
    struct pg_statement s[2];
    unsigned char numbers[3][8];
    machine_go(&PRIORITY, p->state, ASKING);
    p->claimed = false;
    pg_array_clear(&p->tenants);
    pg_array_clear(&p->asked);
    pg_array_clear(&p->asked_at);
    pg_statement_init(&s[0], SQL_READ_CLAIM_REQUESTS);
    pg_add_i64(&s[0], TENANTS_AT_ONCE, numbers[0]);
    s[0].binary_result = true;
    pg_statement_init(&s[1], SQL_READ_PERIOD_ENDS);
    pg_add_i64(&s[1], p->interval_ms, numbers[1]);
    pg_add_text(&s[1], p->ends_after);
    pg_add_i64(&s[1], TENANTS_AT_ONCE, numbers[2]);
    int n = clock_monotonic_ms() >= p->ends_due_ms ? 2 : 1;
    session_run(p->session, s, n, DEADLINE_MS, take_answer, p);
}

static void on_look(uv_timer_t *timer)
{
    struct priority_claims *p = timer->data;
    if (p->state == RESTING && !p->stopping && session_is_idle(p->session))
        run_ask(p);
}

static void on_usable(void *owner)
{
    (void)owner; /* the next look finds it so */
}

struct priority_claims *priority_claims_open(struct stage *stage, const char *database_url,
                                             int64_t interval_s,
                                             void (*on_rest)(void *owner, bool claimed),
                                             void *owner)
{
    struct priority_claims *p = xcalloc(1, sizeof *p);
    p->interval_ms = interval_s * 1000;
    p->ends_pause_ms = priority_claims_ends_pause_ms(interval_s);
    p->ends_after = xstrdup("");
    pg_array_init(&p->tenants, PG_TEXT);
    pg_array_init(&p->asked, PG_TEXT);
    pg_array_init(&p->asked_at, PG_TIMESTAMPTZ);
    p->on_rest = on_rest;
    p->owner = owner;
    p->session = session_open(stage, database_url, "priority",
                              (struct session_events){.on_usable = on_usable, .owner = p});
    p->claimer = claimer_new(p->session);
    uv_timer_init(stage_loop(stage), &p->timer);
    p->timer.data = p;
    uv_timer_start(&p->timer, on_look, LOOK_MS, LOOK_MS);
    return p;
}

void priority_claims_stop(struct priority_claims *p)
{
    p->stopping = true;
    claimer_stop(p->claimer);
}

bool priority_claims_is_resting(const struct priority_claims *p)
{
    return p->state == RESTING;
}

static void release(void *self)
{
    struct priority_claims *p = self;
    claimer_free(p->claimer);
    pg_array_done(&p->tenants);
    pg_array_done(&p->asked);
    pg_array_done(&p->asked_at);
    free(p->ends_after);
    free(p);
}

void priority_claims_close(struct priority_claims *p, void (*closed)(void *owner), void *owner)
{
    closing_begin(&p->closing, p, release, closed, owner);
    closing_handle(&p->closing, &p->timer);
    session_close(p->session, closing_part_closed, closing_part(&p->closing));
    closing_end(&p->closing);
}
