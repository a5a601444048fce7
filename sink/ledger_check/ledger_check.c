/* The happy path: each POLL_MS the ledger's row is read, and Redis is told its number of picks,
 * which Redis may have lost.
 *
 *      RESTING --poll, ledger_check_again, a peer is back--> READING
 *      READING --PostgreSQL is the same--> TELLING --> RESTING (passed)
 *      READING --it was started anew--> ASKING --> CHECKING --verdict--> SETTLING --> RESTING
 *      CHECKING --another sink was first--> TELLING
 *      TELLING --once a minute--> NAMING --> NOTING --> RESTING (passed)
 *      TELLING --Redis knows a greater number--> RAISING --> RESTING (passed)
 *
 * Redis is asked first, and the ledger is read after it (CHECKING): what others commit and tell
 * Redis meanwhile must not look like something that the ledger lacks. A verdict that holds sinks
 * must be found twice. Once a minute the ledger notes which Redis it is told to, and when: that is
 * what the next check compares with.
 *
 * The failure modes: PostgreSQL or Redis is away: the check ends, and the next poll, or the moment
 * when it is back, begins another. Without Redis nothing is picked. PostgreSQL is exchanged between
 * two steps: the statement that settles names the ledger_life() that was read. */
#include "sink/ledger_check/ledger_check.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/log.h"
#include "common/machine.h"
#include "common/peer.h"
#include "sink/session.h"
#include "sink/sql.h"

#include <stdio.h>
#include <stdlib.h>

enum { POLL_MS = 2000, NOTE_MS = 60000, DEADLINE_MS = 5000, NUMBER_SIZE = 24 };

enum check_state { RESTING, READING, TELLING, RAISING, NAMING, NOTING, ASKING, CHECKING, SETTLING };

static const struct machine CHECK = {
    "ledger_check",
    {[RESTING] = {"resting", TO(READING)},
     [READING] = {"reading", TO(TELLING) | TO(ASKING) | TO(RESTING)},
     [TELLING] = {"telling", TO(RAISING) | TO(NAMING) | TO(RESTING)},
     [RAISING] = {"raising", TO(RESTING)},
     [NAMING] = {"naming", TO(NOTING) | TO(RESTING)},
     [NOTING] = {"noting", TO(RESTING)},
     [ASKING] = {"asking", TO(CHECKING) | TO(RESTING)},
     [CHECKING] = {"checking", TO(TELLING) | TO(SETTLING) | TO(RESTING)},
     [SETTLING] = {"settling", TO(RESTING)}}};

struct ledger_check {
    struct session *session;
    struct redis_router *redis;
    uv_timer_t timer;
    enum check_state state;
    bool passed;
    bool again; /* ledger_check_again came during a check */
    struct log_repeat delays;
    struct err failure; /* of the last check; ERR_NONE if there was none */
    void (*on_change)(void *owner);
    void *owner;
    int64_t picks;   /* of the ledger, as read */
    int64_t note_ms; /* monotonic: when to note next */
    char *ledger;    /* its id */
    struct ledger_answers answers;
    enum ledger_verdict verdict;
    enum ledger_verdict suspicion; /* of the check before */
    bool is_first;                 /* no sink has ever compared this ledger */
    struct closing closing;
};

static void check(void *owner);

static void rest(struct ledger_check *c, bool passed)
{
    bool changed = c->passed != passed;
    machine_go(&CHECK, c->state, RESTING);
    ledger_answers_done(&c->answers);
    c->passed = passed;
    if (passed) {
        c->suspicion = LEDGER_INTACT;
        c->failure = (struct err){0};
        log_repeat_recovered(&c->delays);
    }
    if (closing_has_begun(&c->closing))
        return;
    if (changed)
        c->on_change(c->owner);
    if (c->again)
        check(c);
}

/* A lost connection is logged by the one who lost it. */
static void rest_failed(struct ledger_check *c, const struct err *error)
{
    uint64_t suppressed;
    if (error)
        c->failure = *error;
    if (error && error->kind != ERR_CLOSED && error->kind != ERR_CANCELED &&
        log_repeat_failed(&c->delays, clock_monotonic_ms(), &suppressed))
        log_warn(ledger_check_delayed, LOG_STR("sqlstate", error->sqlstate),
                 LOG_U64("held_back", suppressed), LOG_ERR(error));
    rest(c, false);
}

/* Runs a statement, or ends the check if PostgreSQL went away meanwhile. */
static void run(struct ledger_check *c, enum check_state next, struct pg_statement *s,
                pg_done_fn done)
{
    if (closing_has_begun(&c->closing) || !session_is_idle(c->session)) {
        rest_failed(c, NULL);
        return;
    }
    machine_go(&CHECK, c->state, next);
    session_run(c->session, s, 1, DEADLINE_MS, done, c);
}

/* Noting. */

static void take_noted(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger_check *c = owner;
    (void)results;
    (void)n;
    if (error) {
        rest_failed(c, error);
        return;
    }
    c->note_ms = clock_monotonic_ms() + NOTE_MS;
    rest(c, true);
}

static void take_named(void *owner, const struct err *error, const char *run_id)
{
    struct ledger_check *c = owner;
    struct pg_statement s;
    if (error) {
        rest_failed(c, error);
        return;
    }
    pg_statement_init(&s, SQL_NOTE_LEDGER_ALIVE);
    pg_add_text(&s, *run_id ? run_id : NULL);
    run(c, NOTING, &s, take_noted);
}

/* Telling Redis, which may know a greater number: a person accepted what was lost while no sink
 * ran, and the ledger's numbers go on above. */

static void take_raised(void *owner, const struct err *error, PGresult **results, int n)
{
    (void)results;
    (void)n;
    if (error)
        rest_failed(owner, error);
    else
        rest(owner, true);
}

static void take_told(void *owner, const struct err *error, int64_t known)
{
    struct ledger_check *c = owner;
    struct pg_statement s;
    char number[NUMBER_SIZE];
    if (error) {
        rest_failed(c, error);
    } else if (known > c->picks) {
        snprintf(number, sizeof number, "%lld", (long long)known);
        pg_statement_init(&s, SQL_RAISE_PICKS);
        pg_add_text(&s, number);
        run(c, RAISING, &s, take_raised);
    } else if (clock_monotonic_ms() >= c->note_ms) {
        machine_go(&CHECK, c->state, NAMING);
        ledger_facts_ask_run_id(c->redis, c->ledger, take_named, c);
    } else {
        rest(c, true);
    }
}

static void run_tell(struct ledger_check *c, const PGresult *row)
{
    machine_go(&CHECK, c->state, TELLING);
    c->picks = ledger_row_picks(row);
    free(c->ledger);
    c->ledger = xstrdup(ledger_row_id(row));
    ledger_facts_tell(c->redis, c->ledger, c->picks, take_told, c);
}

/* Settling. */

static void log_verdict(const struct ledger_check *c, const char *held_from)
{
    const char *why = ledger_verdict_name(c->verdict);
    switch (c->verdict) {
    case LEDGER_INTACT:
        if (!c->is_first)
            log_info(ledger_confirmed, LOG_I64("picks", c->answers.sent),
                     LOG_MSG("PostgreSQL was started anew or failed over, and has all that Redis "
                             "knows of: claiming and sending resume"));
        break;
    case LEDGER_UNSURE:
        log_warn(ledger_unsure, LOG_STR("held_from", held_from),
                 LOG_MSG("PostgreSQL and Redis were both started anew, maybe from backups of one "
                         "moment: usage that was not compared with Stripe by then is held until a "
                         "sink has compared it; if both are backups, run `meterctl restore hold`, "
                         "then `restore accept`"));
        break;
    case LEDGER_BEHIND:
        log_error(ledger_suspected, LOG_STR("why", why),
                  LOG_MSG("PostgreSQL went back to before what Redis knows of: nothing is claimed "
                          "or sent until `meterctl restore accept`"));
        break;
    case LEDGER_UNKNOWN:
        log_error(ledger_suspected, LOG_STR("why", why),
                  LOG_MSG("PostgreSQL was started anew or restored, and Redis is empty: nobody "
                          "knows whether all that was sent is in the ledger; nothing is claimed or "
                          "sent until `meterctl restore accept`"));
        break;
    }
}

static void take_settled(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger_check *c = owner;
    (void)n;
    if (error) {
        rest_failed(c, error);
        return;
    }
    /* No row: another sink was first, or PostgreSQL was exchanged once more. */
    if (PQntuples(results[0]) > 0)
        log_verdict(c, PQgetvalue(results[0], 0, 1));
    c->again = true;
    rest(c, false);
}

static void run_settle(struct ledger_check *c, const PGresult *row)
{
    struct pg_statement s;
    char number[NUMBER_SIZE];
    snprintf(number, sizeof number, "%lld", (long long)c->answers.sent);
    c->is_first = ledger_row_is_first(row);
    pg_statement_init(&s, SQL_SETTLE_LEDGER_CHECK);
    pg_add_text(&s, ledger_row_life(row));
    pg_add_text(&s, ledger_verdict_name(c->verdict));
    pg_add_text(&s, number);
    run(c, SETTLING, &s, take_settled);
}

/* Comparing. */

/* A verdict that lets sinks go on is settled at once; one that does not when it is found again. */
static bool is_settled(struct ledger_check *c, const PGresult *row)
{
    enum ledger_verdict before = c->suspicion;
    if (!ledger_facts_judge(row, &c->answers, &c->verdict))
        return false;
    c->suspicion = c->verdict;
    return c->verdict == LEDGER_INTACT || c->verdict == before;
}

static void take_checked(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger_check *c = owner;
    (void)n;
    if (error || closing_has_begun(&c->closing) || PQntuples(results[0]) == 0)
        rest_failed(c, error);
    else if (ledger_row_is_known(results[0]))
        run_tell(c, results[0]); /* another sink has compared it */
    else if (is_settled(c, results[0]))
        run_settle(c, results[0]);
    else
        rest(c, false);
}

static void take_asked(void *owner, const struct err *error)
{
    struct ledger_check *c = owner;
    struct pg_statement s;
    if (error) {
        rest_failed(c, error);
        return;
    }
    pg_statement_init(&s, SQL_READ_LEDGER);
    run(c, CHECKING, &s, take_checked);
}

/* Looking. */

static void take_row(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger_check *c = owner;
    (void)n;
    if (error || closing_has_begun(&c->closing) || PQntuples(results[0]) == 0) {
        rest_failed(c, error);
    } else if (ledger_row_is_known(results[0])) {
        run_tell(c, results[0]);
    } else {
        machine_go(&CHECK, c->state, ASKING);
        ledger_facts_ask(c->redis, results[0], &c->answers, take_asked, c);
    }
}

static void check(void *owner)
{
    struct ledger_check *c = owner;
    struct pg_statement s;
    c->again = c->state != RESTING;
    if (c->again || closing_has_begun(&c->closing) || !session_is_idle(c->session) ||
        !redis_router_is_up(c->redis))
        return;
    pg_statement_init(&s, SQL_READ_LEDGER);
    run(c, READING, &s, take_row);
}

static void on_timer(uv_timer_t *timer)
{
    struct ledger_check *c = timer->data;
    if (c->state == RESTING)
        check(c);
}

/* It may be another Redis. Note that at once, so that a start of PostgreSQL soon after does not
 * look as if both had been started anew. */
static void on_redis_up(void *owner)
{
    struct ledger_check *c = owner;
    c->note_ms = 0;
    check(c);
}

static void on_redis_down(void *owner, const struct err *error)
{
    struct ledger_check *c = owner;
    bool changed = c->passed;
    (void)error;
    c->passed = false;
    if (changed && !closing_has_begun(&c->closing))
        c->on_change(c->owner);
}

struct ledger_check *ledger_check_open(struct stage *stage, const struct config *config,
                                       void (*on_change)(void *owner), void *owner, struct err *e)
{
    struct ledger_check *c = xcalloc(1, sizeof *c);
    c->on_change = on_change;
    c->owner = owner;
    c->redis = redis_router_open(
        stage_loop(stage), config->base.redis_url,
        (struct redis_router_events){.on_up = on_redis_up, .on_down = on_redis_down, .owner = c},
        e);
    if (!c->redis) {
        free(c);
        return NULL;
    }
    c->session = session_open(stage, config->base.database_url, "ledger check",
                              (struct session_events){.on_usable = check, .owner = c});
    uv_timer_init(stage_loop(stage), &c->timer);
    c->timer.data = c;
    uv_timer_start(&c->timer, on_timer, POLL_MS, POLL_MS);
    return c;
}

bool ledger_check_passed(const struct ledger_check *c)
{
    return c->passed;
}

bool ledger_check_is_ready(const struct ledger_check *c, struct buf *why)
{
    if (c->passed)
        return true;
    if (!redis_router_is_up(c->redis))
        peer_add_why(PEER_REDIS, why);
    else if (session_is_usable(c->session, why))
        buf_printf(why,
                   "held: PostgreSQL was started anew or restored, and is yet to be compared with "
                   "Redis%s%s\n",
                   *c->failure.text ? ": " : "", c->failure.text);
    return false;
}

void ledger_check_again(struct ledger_check *c)
{
    c->passed = false;
    check(c);
}

void ledger_check_note_pick(struct ledger_check *c, const char *ledger, int64_t picks,
                            ledger_told_fn done, void *owner)
{
    ledger_facts_tell(c->redis, ledger, picks, done, owner);
}

static void release(void *self)
{
    struct ledger_check *c = self;
    ledger_answers_done(&c->answers);
    free(c->ledger);
    free(c);
}

void ledger_check_close(struct ledger_check *c, void (*closed)(void *owner), void *owner)
{
    closing_begin(&c->closing, c, release, closed, owner);
    closing_handle(&c->closing, &c->timer);
    session_close(c->session, closing_part_closed, closing_part(&c->closing));
    redis_router_close(c->redis, closing_part_closed, closing_part(&c->closing));
    closing_end(&c->closing);
}
