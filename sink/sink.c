/* The cycle.
 *
 *                      +------------- tick: what waits goes on being sent --------------+
 *                      v                                                                |
 *      IDLE --tick--> CLAIMING --all pages--> SENDING --nothing waits--> SETTLED --> IDLE
 *        ^                                     ^  |                        counted
 *        +-- start (a sink that starts sends what an earlier one left) ----+
 *
 * The happy path: a tick of the aligned clock claims, page by page in two halves; what was claimed
 * is sent and settled by the sender; once nothing waits any more the states are counted, one line
 * is logged, and the sink rests until the next tick.
 *
 * The failure modes: PostgreSQL is away when a tick comes: the claim is made once it is back.
 * Another sink claims: its submissions are anybody's to send. Sinks are held: nothing is claimed or
 * sent, and that is said loudly. Stripe is away: SENDING lasts, and ticks claim meanwhile. */
#include "sink/sink.h"

#include "common/clock.h"
#include "sink/claim/claim_workers.h"
#include "sink/claim/priority_claims.h"
#include "sink/claim/unclaimed.h"
#include "sink/cycle_stats.h"
#include "sink/ledger_check/ledger_check.h"
#include "sink/reconciler.h"
#include "sink/report.h"
#include "sink/send/meter_watch.h"
#include "sink/send/sender.h"
#include "sink/session.h"
#include "sink/sql.h"
#include "sink/wall_timer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    RECOUNT_MS = 10000,  /* while sending lasts */
    BUSY_PAUSE_MS = 200, /* --once: between two looks, and before another claimer is asked again */
    ONCE_PATIENCE_MS = 10000, /* --once: for tries that failed, since the last one that did not */
    DRAIN_PATIENCE_MS = 6000, /* of the 8 s that the skeleton gives */
    COUNT_DEADLINE_MS = 20000,
    COUNT_ALL_MS = 60000, /* of totals, which takes long where there are many, and claims need the
                           * session: at most 1 % of the time */
    COUNT_ALL_SHARE = 100
};
enum sink_state { IDLE, CLAIMING, SENDING, SETTLED };

#define TO(state) (1u << (state))
static const unsigned MOVES[] = {
    [IDLE] = TO(CLAIMING) | TO(SENDING),
    [CLAIMING] = TO(SENDING),
    [SENDING] = TO(CLAIMING) | TO(SETTLED),
    [SETTLED] = TO(IDLE),
};

struct sink {
    struct stage *stage;
    const struct config *config;
    bool once;
    bool finished; /* --once: stage_finish was called */
    bool draining;
    bool closing;
    enum sink_state state;
    bool claim_wanted;    /* a tick came, and no claim has run since */
    int64_t counted_ms;   /* monotonic */
    bool counting_all;    /* … of totals, too */
    int64_t count_all_ms; /* monotonic: from when on they may be counted; since when they are */
    bool counting;        /* the statement is under way */
    bool count_again;     /* … and comes too early to close the cycle */
    struct wall_timer tick;
    struct claim_workers *workers; /* claim, and count between claims */
    struct session *sends;
    struct ledger_check *ledger_check;
    struct priority_claims *priority; /* NULL with --once, which claims all in any case */
    struct sender *sender;
    struct meter_watch *meters;
    struct reconciler *reconciler; /* NULL with --once */
    struct cycle cycle;
    int handles;
};

static void consider(struct sink *s);

static void sink_go(struct sink *s, enum sink_state next)
{
    assert(MOVES[s->state] & TO(next));
    s->state = next;
}

static void finish(struct sink *s, int exit_code)
{
    if (s->finished)
        return;
    s->finished = true;
    stage_finish(s->stage, exit_code);
}

/* Counting. */

static void rest_from_totals(struct sink *s)
{
    int64_t rest_ms = (s->counted_ms - s->count_all_ms) * COUNT_ALL_SHARE;
    s->count_all_ms = s->counted_ms + (rest_ms > COUNT_ALL_MS ? rest_ms : COUNT_ALL_MS);
}

static void take_counts(void *owner, const struct err *error, PGresult **results, int n)
{
    struct sink *s = owner;
    s->counting = false;
    s->counted_ms = clock_monotonic_ms();
    if (!error)
        report_counts(results[0], clock_unix_ms());
    else if (error->kind == ERR_REFUSED)
        log_warn(count_refused, LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
    if (!error && n > 1)
        unclaimed_export(results[1]);
    if (s->counting_all)
        rest_from_totals(s);
    bool answered = (!error || error->kind == ERR_REFUSED) && !s->count_again;
    s->count_again = false;
    if (answered && s->state == SETTLED) {
        sink_go(s, IDLE);
        cycle_log(&s->cycle, s->sender);
        bool held = meter_watch_held(s->meters, NULL) > 0 && report_pending() > 0;
        if (s->once)
            finish(s, held ? EXIT_FAILED : EXIT_DONE);
    }
    consider(s);
}

static void run_count(struct sink *s)
{
    struct pg_statement st[2];
    int64_t now_ms = clock_monotonic_ms();
    bool rests = !s->counting && !s->draining && claim_workers_are_resting(s->workers);
    if (!rests || !session_is_idle(claim_workers_session(s->workers)))
        return;
    s->counting = true;
    pg_statement_init(&st[0], SQL_COUNT_SUBMISSIONS);
    pg_statement_init(&st[1], SQL_COUNT_UNCLAIMED);
    st[0].binary_result = st[1].binary_result = true;
    /* Nobody reads the metrics of one that runs once. */
    s->counting_all = !s->once && now_ms >= s->count_all_ms;
    if (s->counting_all)
        s->count_all_ms = now_ms;
    session_run(claim_workers_session(s->workers), st, s->counting_all ? 2 : 1, COUNT_DEADLINE_MS,
                take_counts, s);
}

/* Claiming. */

static void take_claim_failure(struct sink *s, const struct err *error)
{
    log_warn(claim_delayed, LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
    /* A lost connection comes back, and the claim is made then; a refusal waits for the next tick.
     */
    if (error->kind != ERR_REFUSED)
        s->claim_wanted = true;
    else if (s->once)
        finish(s, EXIT_FAILED);
}

static void take_claims(void *owner, const struct err *error, const struct claim_report *report)
{
    struct sink *s = owner;
    s->cycle.claims = *report;
    s->cycle.claim_ms = cycle_age_ms(&s->cycle);
    report_claims(report->made);
    sink_go(s, SENDING);
    if (report->unchecked && !error) {
        s->claim_wanted = true;
        ledger_check_again(s->ledger_check);
    }
    if (error)
        take_claim_failure(s, error);
    else if ((report->busy || report->split > 0) && s->once)
        s->claim_wanted = true;
    sender_wake(s->sender);
    run_count(s);
    consider(s);
}

/* There may be something to send, or again a way to ask for it. */
static void wake_sender(void *owner)
{
    struct sink *s = owner;
    sender_wake(s->sender);
}

static void run_claim(struct sink *s)
{
    s->claim_wanted = false;
    if (s->state == SENDING && !s->once)
        cycle_log(&s->cycle, s->sender);
    cycle_begin(&s->cycle, s->sender);
    sink_go(s, CLAIMING);
    claim_workers_start(s->workers);
}

/* Is the sending of this cycle over? */
static bool is_sent(const struct sink *s, const struct sender_status *sender)
{
    if (sender->in_hand > 0 || s->claim_wanted)
        return false;
    if (sender->looked && !sender->waits && !sender->held)
        return true;
    bool patient = clock_monotonic_ms() - sender->progress_ms < ONCE_PATIENCE_MS ||
                   cycle_age_ms(&s->cycle) < ONCE_PATIENCE_MS;
    return s->once && (sender->looked || sender->blocked) && !patient;
}

/* --once ends with 1 where no patience helps: a person has to act first. */
static void give_up(struct sink *s, const struct sender_status *sender)
{
    if (!s->once || sender->in_hand > 0)
        return;
    bool doubtful =
        !ledger_check_passed(s->ledger_check) && cycle_age_ms(&s->cycle) > ONCE_PATIENCE_MS;
    if (sender->held || s->cycle.claims.on_hold || sender->refused || doubtful)
        finish(s, EXIT_FAILED);
}

static void check_sent(struct sink *s)
{
    struct sender_status sender = sender_status(s->sender);
    if (!is_sent(s, &sender)) {
        give_up(s, &sender);
        if (clock_monotonic_ms() - s->counted_ms > RECOUNT_MS)
            run_count(s);
        return;
    }
    if (!sender.waits)
        report_recovered();
    s->count_again = s->counting; /* it began before the last one was settled */
    sink_go(s, SETTLED);
}

static void check_drained(struct sink *s)
{
    if (s->priority && !priority_claims_is_resting(s->priority))
        return;
    if (claim_workers_are_resting(s->workers) && sender_status(s->sender).in_hand == 0)
        stage_drained(s->stage);
}

/* Whatever happened: is there a next step? */
static void consider(struct sink *s)
{
    if (s->closing)
        return;
    if (s->draining) {
        check_drained(s);
        return;
    }
    if (s->state == SENDING)
        check_sent(s);
    if (s->state == SETTLED)
        run_count(s);
    bool may_claim = s->state == IDLE || s->state == SENDING;
    if (s->claim_wanted && may_claim && ledger_check_passed(s->ledger_check) && !s->counting &&
        claim_workers_are_idle(s->workers) &&
        !(s->once && s->cycle.claims.busy && cycle_age_ms(&s->cycle) < BUSY_PAUSE_MS))
        run_claim(s);
}

static void on_tick(void *owner)
{
    struct sink *s = owner;
    s->claim_wanted = true;
    consider(s);
}

/* A part tells that something changed. */
static void on_change(void *owner)
{
    struct sink *s = owner;
    if (sender_status(s->sender).meter_refused) {
        sender_forget_meter(s->sender);
        meter_watch_look(s->meters);
    }
    consider(s);
}

/* What was held may be sent again, or is not any more. */
static void on_meters(void *owner)
{
    struct sink *s = owner;
    if (s->draining || s->closing || !meter_watch_has_answered(s->meters))
        return;
    sender_begin(s->sender);
    sender_wake(s->sender);
    consider(s);
}

static void on_ledger_check(void *owner)
{
    struct sink *s = owner;
    if (!s->sender || s->closing)
        return;
    if (ledger_check_passed(s->ledger_check))
        sender_wake(s->sender);
    consider(s);
}

static void on_priority_rest(void *owner, bool claimed)
{
    struct sink *s = owner;
    if (claimed && !s->draining && !s->closing)
        sender_wake(s->sender);
    consider(s);
}

struct sink *sink_open(struct stage *stage, const struct config *config, bool once, struct err *e)
{
    struct sink *s = xcalloc(1, sizeof *s);
    s->ledger_check = ledger_check_open(stage, config, on_ledger_check, s, e);
    if (!s->ledger_check) {
        free(s);
        return NULL;
    }
    s->stage = stage;
    s->config = config;
    s->once = s->claim_wanted = once;
    report_init();
    const char *url = config->base.database_url;
    s->workers = claim_workers_open(
        stage, url,
        (struct claim_workers_events){
            .on_usable = on_change, .on_page = wake_sender, .on_done = take_claims, .owner = s});
    s->sends = session_open(stage, url, "send",
                            (struct session_events){.on_usable = wake_sender, .owner = s});
    s->sender = sender_open(stage, config, s->sends, s->ledger_check, on_change, s);
    s->meters = meter_watch_open(stage, config, on_meters, s);
    if (!once)
        s->priority = priority_claims_open(stage, url, config->interval_s, on_priority_rest, s);
    s->reconciler = once ? NULL : reconciler_open(stage, config);
    s->handles = once ? 6 : 8; /* the tick, the halves, the sender and its session, the life, the
                                  meters, what is urgent, the reconciler */
    cycle_begin(&s->cycle, s->sender);
    sink_go(s, SENDING);
    wall_timer_start(&s->tick, stage_loop(stage), once ? BUSY_PAUSE_MS : config->interval_s * 1000,
                     once ? on_change : on_tick, s);
    return s;
}

bool sink_is_ready(const struct sink *s, struct buf *why)
{
    struct sender_status sender = sender_status(s->sender);
    if (!claim_workers_are_usable(s->workers, why) || !session_is_usable(s->sends, why))
        return false;
    if (sender.held || s->cycle.claims.on_hold) {
        buf_add_str(why, "held: the ledger was found behind the stream\n");
        return false;
    }
    if (!ledger_check_is_ready(s->ledger_check, why))
        return false;
    if (sender.blocked)
        buf_add_str(why, sender.refused ? "stripe: refuses our key\n" : "stripe: not reachable\n");
    else
        meter_watch_held(s->meters, why);
    if (s->reconciler && reconciler_unproven(s->reconciler) > 0)
        buf_printf(why, "held: %" PRId64 " tenants: not compared with Stripe since a restore\n",
                   reconciler_unproven(s->reconciler));
    return !sender.blocked;
}

void sink_drain(struct sink *s)
{
    s->draining = true;
    if (s->reconciler)
        reconciler_stop(s->reconciler);
    meter_watch_stop(s->meters);
    claim_workers_stop(s->workers);
    if (s->priority)
        priority_claims_stop(s->priority);
    sender_stop(s->sender, DRAIN_PATIENCE_MS);
    check_drained(s);
}

static void release(void *owner)
{
    struct sink *s = owner;
    if (--s->handles > 0)
        return;
    sender_free(s->sender);
    free(s);
}

static void on_tick_closed(uv_handle_t *handle)
{
    const struct wall_timer *t = handle->data;
    release(t->owner);
}

void sink_close(struct sink *s)
{
    s->closing = true;
    if (s->reconciler)
        reconciler_close(s->reconciler, release, s);
    wall_timer_close(&s->tick, on_tick_closed);
    sender_close(s->sender, release, s);
    claim_workers_close(s->workers, release, s);
    session_close(s->sends, release, s);
    meter_watch_close(s->meters, release, s);
    ledger_check_close(s->ledger_check, release, s);
    if (s->priority)
        priority_claims_close(s->priority, release, s);
}
