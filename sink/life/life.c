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
#include "sink/life/life.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/peer.h"
#include "sink/life/life_ask.h"
#include "sink/life/life_rows.h"
#include "sink/session.h"
#include "sink/sql.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POLL_MS = 2000, NOTE_MS = 60000, DEADLINE_MS = 5000, NUMBER_SIZE = 24 };

enum life_state { RESTING, READING, TELLING, RAISING, NAMING, NOTING, ASKING, CHECKING, SETTLING };

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

struct life {
    struct session *session;
    struct redis_router *redis;
    uv_timer_t timer;
    enum life_state state;
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
    struct life_answers answers;
    enum life_verdict verdict;
    enum life_verdict suspicion; /* of the look before */
    bool is_first;
    int handles;
    void (*closed)(void *owner);
    void *closed_owner;
};

static void look(struct life *l);

static void life_go(struct life *l, enum life_state next)
{
    assert(MOVES[l->state] & TO(next));
    l->state = next;
}

static void rest(struct life *l, bool whole)
{
    bool changed = l->whole != whole;
    life_go(l, RESTING);
    life_answers_done(&l->answers);
    l->whole = whole;
    if (whole) {
        l->suspicion = LIFE_WHOLE;
        l->failure = (struct err){0};
        log_repeat_recovered(&l->delays);
    }
    if (l->closing)
        return;
    if (changed)
        l->on_change(l->owner);
    if (l->again)
        look(l);
}

/* A lost peer is told where it is lost. */
static void rest_failed(struct life *l, const struct err *error)
{
    uint64_t held;
    if (error)
        l->failure = *error;
    if (error && error->kind != ERR_CLOSED && error->kind != ERR_CANCELED &&
        log_repeat_failed(&l->delays, clock_monotonic_ms(), &held))
        log_warn(life_delayed, LOG_STR("sqlstate", error->sqlstate), LOG_U64("held_back", held),
                 LOG_ERR(error));
    rest(l, false);
}

/* Runs a statement, or ends the look if PostgreSQL went meanwhile. */
static bool run(struct life *l, enum life_state next, struct pg_statement *s, pg_done_fn done)
{
    if (l->closing || !session_is_idle(l->session)) {
        rest_failed(l, NULL);
        return false;
    }
    life_go(l, next);
    session_run(l->session, s, 1, DEADLINE_MS, done, l);
    return true;
}

/* Noting. */

static void take_noted(void *owner, const struct err *error, PGresult **results, int n)
{
    struct life *l = owner;
    (void)results;
    (void)n;
    if (error) {
        rest_failed(l, error);
        return;
    }
    l->note_ms = clock_monotonic_ms() + NOTE_MS;
    rest(l, true);
}

static void take_named(void *owner, const struct err *error, const char *run_id)
{
    struct life *l = owner;
    struct pg_statement s;
    if (error) {
        rest_failed(l, error);
        return;
    }
    pg_statement_init(&s, SQL_NOTE_LIFE);
    pg_add_text(&s, *run_id ? run_id : NULL);
    run(l, NOTING, &s, take_noted);
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
    struct life *l = owner;
    struct pg_statement s;
    char number[NUMBER_SIZE];
    if (error) {
        rest_failed(l, error);
    } else if (known <= l->picks && clock_monotonic_ms() >= l->note_ms) {
        life_go(l, NAMING);
        life_ask_run(l->redis, l->ledger, take_named, l);
    } else if (known <= l->picks) {
        rest(l, true);
    } else {
        snprintf(number, sizeof number, "%lld", (long long)known);
        pg_statement_init(&s, SQL_RAISE_PICKS);
        pg_add_text(&s, number);
        run(l, RAISING, &s, take_raised);
    }
}

static void run_tell(struct life *l, const PGresult *r)
{
    life_go(l, TELLING);
    l->picks = life_rows_picks(r);
    free(l->ledger);
    l->ledger = xstrdup(life_rows_ledger(r));
    life_tell(l->redis, l->ledger, l->picks, take_told, l);
}

/* Settling. */

static void log_verdict(const struct life *l, const char *held_from)
{
    switch (l->verdict) {
    case LIFE_WHOLE:
        if (!l->is_first)
            log_info(life_changed, LOG_I64("picks", l->answers.sent),
                     LOG_MSG("PostgreSQL was started anew or failed over, and has all that Redis "
                             "knows of: claims and sends"));
        break;
    case LIFE_UNSURE:
        log_warn(life_unsure, LOG_STR("held_from", held_from),
                 LOG_MSG("PostgreSQL and Redis were both started anew, maybe from backups of one "
                         "moment: usage that is not compared with Stripe by then is held until it "
                         "is, which sinks do; if both are backups, run `meterctl restore hold`, "
                         "then `restore accept`"));
        break;
    case LIFE_BEHIND:
        log_error(ledger_suspected, LOG_STR("why", life_verdict_name(l->verdict)),
                  LOG_MSG("PostgreSQL went back to before what Redis knows of: nothing is claimed "
                          "or sent until `meterctl restore accept`"));
        break;
    case LIFE_UNKNOWN:
        log_error(ledger_suspected, LOG_STR("why", life_verdict_name(l->verdict)),
                  LOG_MSG("PostgreSQL was started anew or restored, and Redis is empty: nobody "
                          "knows whether all that was sent is in the ledger; nothing is claimed or "
                          "sent until `meterctl restore accept`"));
        break;
    }
}

static void take_settled(void *owner, const struct err *error, PGresult **results, int n)
{
    struct life *l = owner;
    (void)n;
    if (error) {
        rest_failed(l, error);
        return;
    }
    /* No row: another sink was first, or PostgreSQL was exchanged once more. */
    if (PQntuples(results[0]) > 0)
        log_verdict(l, PQgetvalue(results[0], 0, 1));
    l->again = true;
    rest(l, false);
}

static void run_settle(struct life *l, const PGresult *r)
{
    struct pg_statement s;
    char number[NUMBER_SIZE];
    snprintf(number, sizeof number, "%lld", (long long)l->answers.sent);
    pg_statement_init(&s, SQL_SETTLE_LIFE);
    pg_add_text(&s, life_rows_life(r));
    pg_add_text(&s, life_verdict_name(l->verdict));
    pg_add_text(&s, number);
    run(l, SETTLING, &s, take_settled);
}

/* Comparing. */

static void take_checked(void *owner, const struct err *error, PGresult **results, int n)
{
    struct life *l = owner;
    (void)n;
    if (error || l->closing || PQntuples(results[0]) == 0) {
        rest_failed(l, error);
        return;
    }
    if (life_rows_known(results[0])) {
        run_tell(l, results[0]); /* another sink has compared it */
        return;
    }
    if (!life_rows_add_positions(results[0], &l->answers)) {
        rest(l, false);
        return;
    }
    enum life_verdict before = l->suspicion;
    l->suspicion = l->verdict = life_rows_judge(results[0], &l->answers, &l->is_first);
    if (l->verdict == LIFE_WHOLE || l->verdict == before)
        run_settle(l, results[0]);
    else
        rest(l, false);
}

static void take_asked(void *owner, const struct err *error)
{
    struct life *l = owner;
    struct pg_statement s;
    if (error) {
        rest_failed(l, error);
        return;
    }
    pg_statement_init(&s, SQL_READ_LIFE);
    run(l, CHECKING, &s, take_checked);
}

static void run_ask(struct life *l, const PGresult *r)
{
    life_go(l, ASKING);
    life_rows_name_streams(r, &l->answers);
    life_ask(l->redis, life_rows_ledger(r), &l->answers, take_asked, l);
}

/* Looking. */

static void take_life(void *owner, const struct err *error, PGresult **results, int n)
{
    struct life *l = owner;
    (void)n;
    if (error || l->closing || PQntuples(results[0]) == 0)
        rest_failed(l, error);
    else if (life_rows_known(results[0]))
        run_tell(l, results[0]);
    else
        run_ask(l, results[0]);
}

static void look(struct life *l)
{
    struct pg_statement s;
    l->again = l->state != RESTING;
    if (l->again || l->closing || !session_is_idle(l->session) || !redis_router_is_up(l->redis))
        return;
    pg_statement_init(&s, SQL_READ_LIFE);
    run(l, READING, &s, take_life);
}

static void on_timer(uv_timer_t *timer)
{
    struct life *l = timer->data;
    if (l->state == RESTING)
        look(l);
}

static void on_peer_up(void *owner)
{
    look(owner);
}

/* Maybe another one: a start of PostgreSQL soon after is not to look like one of both. */
static void on_redis_up(void *owner)
{
    struct life *l = owner;
    l->note_ms = 0;
    look(l);
}

static void on_redis_down(void *owner, const struct err *error)
{
    struct life *l = owner;
    bool changed = l->whole;
    (void)error;
    l->whole = false;
    if (changed && !l->closing)
        l->on_change(l->owner);
}

struct life *life_open(struct stage *stage, const struct config *config,
                       void (*on_change)(void *owner), void *owner, struct err *e)
{
    struct life *l = xcalloc(1, sizeof *l);
    l->on_change = on_change;
    l->owner = owner;
    l->handles = 3;
    l->redis = redis_router_open(
        stage_loop(stage), config->base.redis_url,
        (struct redis_router_events){.on_up = on_redis_up, .on_down = on_redis_down, .owner = l},
        e);
    if (!l->redis) {
        free(l);
        return NULL;
    }
    l->session = session_open(stage, config->base.database_url, "life",
                              (struct session_events){.on_usable = on_peer_up, .owner = l});
    uv_timer_init(stage_loop(stage), &l->timer);
    l->timer.data = l;
    uv_timer_start(&l->timer, on_timer, POLL_MS, POLL_MS);
    return l;
}

bool life_is_whole(const struct life *l)
{
    return l->whole;
}

bool life_is_ready(const struct life *l, struct buf *why)
{
    if (l->whole)
        return true;
    if (!redis_router_is_up(l->redis))
        peer_add_why(PEER_REDIS, why);
    else if (session_is_usable(l->session, why))
        buf_printf(why,
                   "held: PostgreSQL was started anew or restored, and is yet to be compared with "
                   "Redis%s%s\n",
                   *l->failure.text ? ": " : "", l->failure.text);
    return false;
}

void life_doubt(struct life *l)
{
    l->whole = false;
    look(l);
}

void life_note(struct life *l, const char *ledger, int64_t picks, life_told_fn done, void *owner)
{
    life_tell(l->redis, ledger, picks, done, owner);
}

static void release(void *owner)
{
    struct life *l = owner;
    if (--l->handles > 0)
        return;
    void (*closed)(void *) = l->closed;
    void *closed_owner = l->closed_owner;
    life_answers_done(&l->answers);
    free(l->ledger);
    free(l);
    closed(closed_owner);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void life_close(struct life *l, void (*closed)(void *owner), void *owner)
{
    l->closing = true;
    l->closed = closed;
    l->closed_owner = owner;
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
    session_close(l->session, release, l);
    redis_router_close(l->redis, release, l);
}
