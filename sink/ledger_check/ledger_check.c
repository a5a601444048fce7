/* The happy path: each POLL_MS the ledger's life and its number of picks are read, and Redis is
 * told the number, which it may have lost.
 *
 *      RESTING --poll, doubt, a peer is back--> READING --known life--> TELLING --> RESTING (whole)
 *         ^                                        |                     |     |        ^
 *         |                                        | another life        |     | Redis  |
 *         |                                        v                     |     | knows  |
 *         |                                      ASKING                  |     | of     |
 *         |                                        |          once a     |     v more   |
 *         |                                        |          minute     |  RAISING ----+
 *         |                                        v                     v              |
 *         |                                     CHECKING               NAMING - NOTING -+
 *         +--- first suspicion, any failure ---    |
 *                                                  +-- the verdict --> SETTLING --> RESTING
 *
 * Redis is asked first and the ledger is read after it (CHECKING): what others commit and tell
 * Redis meanwhile must not look like something that the ledger lacks. It is held only for what is
 * found twice. Once a minute the ledger notes which Redis it is, and that it is alive: a later life
 * is compared with that.
 *
 * The failure modes: PostgreSQL or Redis is away: the look ends, and the next poll or their coming
 * back begins another; without Redis nothing is picked. PostgreSQL is exchanged between two
 * steps: what is settled names the life that was read. */
#include "sink/ledger_check/ledger_check.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/peer.h"
#include "sink/ledger_check/ledger_facts.h"
#include "sink/ledger_check/ledger_rows.h"
#include "sink/session.h"
#include "sink/sql.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_MS = 2000, NOTE_MS = 60000, DEADLINE_MS = 5000, NUMBER_SIZE = 24 };

enum check_state { RESTING, READING, TELLING, RAISING, NAMING, NOTING, ASKING, CHECKING, SETTLING };

#define TO(state) (1u << (state))
static const unsigned MOVES[] = {
    [RESTING] = TO(READING),
    [READING] = TO(TELLING) | TO(ASKING) | TO(RESTING),
    [TELLING] = TO(RAISING) | TO(NAMING) | TO(RESTING),
    [RAISING] = TO(RESTING),
    [NAMING] = TO(NOTING) | TO(RESTING),
    [NOTING] = TO(RESTING),
    [ASKING] = TO(CHECKING) | TO(RESTING),
    [CHECKING] = TO(TELLING) | TO(SETTLING) | TO(RESTING),
    [SETTLING] = TO(RESTING),
};

struct ledger_check {
    struct session *session;
    struct redis_router *redis;
    uv_timer_t timer;
    enum check_state state;
    bool whole;
    bool again; /* a doubt came during a look */
    bool closing;
    struct log_repeat delays;
    struct err failure; /* of the last look; ERR_NONE if there was none */
    void (*on_change)(void *owner);
    void *owner;
    int64_t picks;   /* of the ledger, as read */
    int64_t note_ms; /* monotonic: when to note it next */
    char *ledger;    /* its id */
    struct ledger_answers answers;
    enum ledger_verdict verdict;
    enum ledger_verdict suspicion; /* of the look before */
    bool is_first;
    int handles;
    void (*closed)(void *owner);
    void *closed_owner;
};

static void look(struct ledger_check *c);

static void check_go(struct ledger_check *c, enum check_state next)
{
    assert(MOVES[c->state] & TO(next));
    c->state = next;
}

static void rest(struct ledger_check *c, bool whole)
{
    bool changed = c->whole != whole;
    check_go(c, RESTING);
    ledger_answers_done(&c->answers);
    c->whole = whole;
    if (whole) {
        c->suspicion = LEDGER_INTACT;
        c->failure = (struct err){0};
        log_repeat_recovered(&c->delays);
    }
    if (c->closing)
        return;
    if (changed)
        c->on_change(c->owner);
    if (c->again)
        look(c);
}

/* A lost peer is told where it is lost. */
static void rest_failed(struct ledger_check *c, const struct err *error)
{
    uint64_t held;
    if (error)
        c->failure = *error;
    if (error && error->kind != ERR_CLOSED && error->kind != ERR_CANCELED &&
        log_repeat_failed(&c->delays, clock_monotonic_ms(), &held))
        log_warn(ledger_check_delayed, LOG_STR("sqlstate", error->sqlstate),
                 LOG_U64("held_back", held), LOG_ERR(error));
    rest(c, false);
}

/* Runs a statement, or ends the look if PostgreSQL went meanwhile. */
static bool run(struct ledger_check *c, enum check_state next, struct pg_statement *s,
                pg_done_fn done)
{
    if (c->closing || !session_is_idle(c->session)) {
        rest_failed(c, NULL);
        return false;
    }
    check_go(c, next);
    session_run(c->session, s, 1, DEADLINE_MS, done, c);
    return true;
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

/* Telling Redis, and hearing of more: a person accepted what was lost while no sink ran, whose
 * numbers go on above. */

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
    } else if (known <= c->picks && clock_monotonic_ms() >= c->note_ms) {
        check_go(c, NAMING);
        ledger_facts_ask_run_id(c->redis, c->ledger, take_named, c);
    } else if (known <= c->picks) {
        rest(c, true);
    } else {
        snprintf(number, sizeof number, "%lld", (long long)known);
        pg_statement_init(&s, SQL_RAISE_PICKS);
        pg_add_text(&s, number);
        run(c, RAISING, &s, take_raised);
    }
}

static void run_tell(struct ledger_check *c, const PGresult *r)
{
    check_go(c, TELLING);
    c->picks = ledger_row_picks(r);
    free(c->ledger);
    c->ledger = xstrdup(ledger_row_ledger(r));
    ledger_facts_tell(c->redis, c->ledger, c->picks, take_told, c);
}

/* Settling. */

static void log_verdict(const struct ledger_check *c, const char *held_from)
{
    switch (c->verdict) {
    case LEDGER_INTACT:
        if (!c->is_first)
            log_info(ledger_confirmed, LOG_I64("picks", c->answers.sent),
                     LOG_MSG("PostgreSQL was started anew or failed over, and has all that Redis "
                             "knows of: claims and sends"));
        break;
    case LEDGER_UNSURE:
        log_warn(ledger_unsure, LOG_STR("held_from", held_from),
                 LOG_MSG("PostgreSQL and Redis were both started anew, maybe from backups of one "
                         "moment: usage that is not compared with Stripe by then is held until it "
                         "is, which sinks do; if both are backups, run `meterctl restore hold`, "
                         "then `restore accept`"));
        break;
    case LEDGER_BEHIND:
        log_error(ledger_suspected, LOG_STR("why", ledger_verdict_name(c->verdict)),
                  LOG_MSG("PostgreSQL went back to before what Redis knows of: nothing is claimed "
                          "or sent until `meterctl restore accept`"));
        break;
    case LEDGER_UNKNOWN:
        log_error(ledger_suspected, LOG_STR("why", ledger_verdict_name(c->verdict)),
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

static void run_settle(struct ledger_check *c, const PGresult *r)
{
    struct pg_statement s;
    char number[NUMBER_SIZE];
    snprintf(number, sizeof number, "%lld", (long long)c->answers.sent);
    pg_statement_init(&s, SQL_SETTLE_LEDGER_CHECK);
    pg_add_text(&s, ledger_row_life(r));
    pg_add_text(&s, ledger_verdict_name(c->verdict));
    pg_add_text(&s, number);
    run(c, SETTLING, &s, take_settled);
}

/* Comparing. */

static void take_checked(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger_check *c = owner;
    (void)n;
    if (error || c->closing || PQntuples(results[0]) == 0) {
        rest_failed(c, error);
        return;
    }
    if (ledger_row_known(results[0])) {
        run_tell(c, results[0]); /* another sink has compared it */
        return;
    }
    if (!ledger_row_add_positions(results[0], &c->answers)) {
        rest(c, false);
        return;
    }
    enum ledger_verdict before = c->suspicion;
    c->suspicion = c->verdict = ledger_row_judge(results[0], &c->answers, &c->is_first);
    if (c->verdict == LEDGER_INTACT || c->verdict == before)
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

static void run_ask(struct ledger_check *c, const PGresult *r)
{
    check_go(c, ASKING);
    ledger_row_name_streams(r, &c->answers);
    ledger_facts_ask(c->redis, ledger_row_ledger(r), &c->answers, take_asked, c);
}

/* Looking. */

static void take_life(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger_check *c = owner;
    (void)n;
    if (error || c->closing || PQntuples(results[0]) == 0)
        rest_failed(c, error);
    else if (ledger_row_known(results[0]))
        run_tell(c, results[0]);
    else
        run_ask(c, results[0]);
}

static void look(struct ledger_check *c)
{
    struct pg_statement s;
    c->again = c->state != RESTING;
    if (c->again || c->closing || !session_is_idle(c->session) || !redis_router_is_up(c->redis))
        return;
    pg_statement_init(&s, SQL_READ_LEDGER);
    run(c, READING, &s, take_life);
}

static void on_timer(uv_timer_t *timer)
{
    struct ledger_check *c = timer->data;
    if (c->state == RESTING)
        look(c);
}

static void on_peer_up(void *owner)
{
    look(owner);
}

/* Maybe another one: a start of PostgreSQL soon after is not to look like one of both. */
static void on_redis_up(void *owner)
{
    struct ledger_check *c = owner;
    c->note_ms = 0;
    look(c);
}

static void on_redis_down(void *owner, const struct err *error)
{
    struct ledger_check *c = owner;
    bool changed = c->whole;
    (void)error;
    c->whole = false;
    if (changed && !c->closing)
        c->on_change(c->owner);
}

struct ledger_check *ledger_check_open(struct stage *stage, const struct config *config,
                                       void (*on_change)(void *owner), void *owner, struct err *e)
{
    struct ledger_check *c = xcalloc(1, sizeof *c);
    c->on_change = on_change;
    c->owner = owner;
    c->handles = 3;
    c->redis = redis_router_open(
        stage_loop(stage), config->base.redis_url,
        (struct redis_router_events){.on_up = on_redis_up, .on_down = on_redis_down, .owner = c},
        e);
    if (!c->redis) {
        free(c);
        return NULL;
    }
    c->session = session_open(stage, config->base.database_url, "ledger check",
                              (struct session_events){.on_usable = on_peer_up, .owner = c});
    uv_timer_init(stage_loop(stage), &c->timer);
    c->timer.data = c;
    uv_timer_start(&c->timer, on_timer, POLL_MS, POLL_MS);
    return c;
}

bool ledger_check_passed(const struct ledger_check *c)
{
    return c->whole;
}

bool ledger_check_is_ready(const struct ledger_check *c, struct buf *why)
{
    if (c->whole)
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
    c->whole = false;
    look(c);
}

void ledger_check_note_pick(struct ledger_check *c, const char *ledger, int64_t picks,
                            ledger_told_fn done, void *owner)
{
    ledger_facts_tell(c->redis, ledger, picks, done, owner);
}

static void release(void *owner)
{
    struct ledger_check *c = owner;
    if (--c->handles > 0)
        return;
    void (*closed)(void *) = c->closed;
    void *closed_owner = c->closed_owner;
    ledger_answers_done(&c->answers);
    free(c->ledger);
    free(c);
    closed(closed_owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void ledger_check_close(struct ledger_check *c, void (*closed)(void *owner), void *owner)
{
    c->closing = true;
    c->closed = closed;
    c->closed_owner = owner;
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
    session_close(c->session, release, c);
    redis_router_close(c->redis, release, c);
}
