/* The cycle.
 *
 *                      +------------- timer: what waits goes on being sent -------------+
 *                      v                                                                |
 *      IDLE --timer-> CLAIMING --all pages--> SENDING --nothing waits--> SETTLED --> IDLE
 *        ^                                     ^  |                        counted
 *        +-- start (a sink that starts sends what an earlier one left) ----+
 *
 * The happy path: at each multiple of the interval the claim workers claim, page by page. What was
 * claimed is sent and settled by the sender. Once nothing waits any more the submissions are
 * counted, one line is logged, and the sink rests until the next multiple.
 *
 * The failure modes:
 * - PostgreSQL is away when the timer fires: the claim is made once it is back.
 * - Another sink claims: its submissions are anybody's to send.
 * - Sinks are held: nothing is claimed or sent, and that is logged as an error.
 * - Stripe is away: SENDING lasts, and claims go on meanwhile. */
#include "sink/sink.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/log.h"
#include "common/machine.h"
#include "sink/backlog.h"
#include "sink/claim/claim_workers.h"
#include "sink/claim/priority_claims.h"
#include "sink/ledger_check/ledger_check.h"
#include "sink/reconciler.h"
#include "sink/report.h"
#include "sink/send/meter_watch.h"
#include "sink/send/sender.h"
#include "sink/wall_timer.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    RECOUNT_MS = 10000,  /* while sending lasts */
    BUSY_PAUSE_MS = 200, /* --once: between two looks, and before another claimer is asked again */
    ONCE_PATIENCE_MS = 10000, /* --once: for tries that failed, since the last one that did not */
    DRAIN_PATIENCE_MS = 6000  /* of the 8 s that the stage gives */
};
enum sink_state { IDLE, CLAIMING, SENDING, SETTLED };

static const struct machine SINK = {"sink",
                                    {[IDLE] = {"idle", TO(CLAIMING) | TO(SENDING)},
                                     [CLAIMING] = {"claiming", TO(SENDING)},
                                     [SENDING] = {"sending", TO(CLAIMING) | TO(SETTLED)},
                                     [SETTLED] = {"settled", TO(IDLE)}}};

/* One cycle in numbers. */
struct cycle {
    struct claim_report claims;
    int64_t began_ms; /* monotonic */
    int64_t claim_ms; /* how long the claims took */
    int64_t sent_before;
    int64_t delayed_before;
};

struct sink {
    struct stage *stage;
    bool once;
    bool finished; /* --once: stage_finish was called */
    bool draining;
    enum sink_state state;
    bool claim_wanted; /* the timer fired, and no claim has run since */
    struct cycle cycle;
    struct wall_timer timer;
    struct claim_workers *workers;
    struct backlog backlog; /* counted on a session of the workers, between claims */
    struct ledger_check *ledger_check;
    struct priority_claims *priority; /* NULL with --once, which claims all in any case */
    struct sender *sender;
    struct meter_watch *meters;
    struct reconciler *reconciler; /* NULL with --once */
    struct closing closing;
};

static void consider(struct sink *s);

static void finish(struct sink *s, int exit_code)
{
    if (s->finished)
        return;
    s->finished = true;
    stage_finish(s->stage, exit_code);
}

static void begin_cycle(struct sink *s)
{
    struct sender_status now = sender_status(s->sender);
    s->cycle = (struct cycle){
        .began_ms = clock_monotonic_ms(), .sent_before = now.sent, .delayed_before = now.delayed};
}

static int64_t cycle_age_ms(const struct sink *s)
{
    return clock_monotonic_ms() - s->cycle.began_ms;
}

/* sent and delayed: since the cycle began; open: what is not done. */
static void log_cycle(const struct sink *s)
{
    const struct claim_report *r = &s->cycle.claims;
    struct sender_status now = sender_status(s->sender);
    log_info(cycle_settled, LOG_I64("claimed", r->made), LOG_I64("late", r->late),
             LOG_I64("up_to_date", r->marked), LOG_I64("without_minute", r->waiting),
             LOG_I64("before_subscription", r->outside), LOG_I64("unmapped", r->unmapped),
             LOG_I64("held", r->held), LOG_I64("carried", r->carried),
             LOG_I64("refused", r->refused), LOG_I64("sent", now.sent - s->cycle.sent_before),
             LOG_I64("delayed", now.delayed - s->cycle.delayed_before),
             LOG_I64("open", backlog_open()), LOG_I64("claim_ms", s->cycle.claim_ms),
             LOG_I64("elapsed_ms", cycle_age_ms(s)));
}

/* Counting. */

static void on_counted(void *owner, bool counted)
{
    struct sink *s = owner;
    if (counted && s->state == SETTLED) {
        machine_go(&SINK, s->state, IDLE);
        log_cycle(s);
        bool held = meter_watch_held(s->meters, NULL) > 0 && backlog_pending() > 0;
        if (s->once)
            finish(s, held ? EXIT_FAILED : EXIT_DONE);
    }
    consider(s);
}

static void run_count(struct sink *s)
{
    if (!s->draining && claim_workers_are_resting(s->workers))
        backlog_count(&s->backlog);
}

/* Claiming. */

static void take_claim_failure(struct sink *s, const struct err *error)
{
    log_warn(claim_delayed, LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
    /* A lost connection comes back, and the claim is made then. A refusal waits for the timer. */
    if (error->kind != ERR_REFUSED)
        s->claim_wanted = true;
    else if (s->once)
        finish(s, EXIT_FAILED);
}

static void take_claims(void *owner, const struct err *error, const struct claim_report *report)
{
    struct sink *s = owner;
    s->cycle.claims = *report;
    s->cycle.claim_ms = cycle_age_ms(s);
    report_claims(report->made);
    machine_go(&SINK, s->state, SENDING);
    if (report->unchecked && !error) {
        s->claim_wanted = true;
        ledger_check_again(s->ledger_check);
    }
    if (error)
        take_claim_failure(s, error);
    else if ((report->busy || report->split > 0) && s->once)
        s->claim_wanted = true;
    if (closing_has_begun(&s->closing))
        return;
    sender_wake(s->sender);
    run_count(s);
    consider(s);
}

static void run_claim(struct sink *s)
{
    s->claim_wanted = false;
    if (s->state == SENDING && !s->once)
        log_cycle(s);
    begin_cycle(s);
    machine_go(&SINK, s->state, CLAIMING);
    claim_workers_start(s->workers);
}

/* Is the sending of this cycle over? */
static bool is_sent(const struct sink *s, const struct sender_status *sender)
{
    if (sender->in_hand > 0 || s->claim_wanted)
        return false;
    if (sender->looked && !sender->waits && !sender->on_hold)
        return true;
    bool patient = clock_monotonic_ms() - sender->progress_ms < ONCE_PATIENCE_MS ||
                   cycle_age_ms(s) < ONCE_PATIENCE_MS;
    return s->once && (sender->looked || sender->blocked) && !patient;
}

/* --once ends with 1 where no patience helps: a person has to act first. */
static void give_up(struct sink *s, const struct sender_status *sender)
{
    if (!s->once || sender->in_hand > 0)
        return;
    bool unchecked = !ledger_check_passed(s->ledger_check) && cycle_age_ms(s) > ONCE_PATIENCE_MS;
    if (sender->on_hold || s->cycle.claims.on_hold || sender->refused || unchecked)
        finish(s, EXIT_FAILED);
}

static void check_sent(struct sink *s)
{
    struct sender_status sender = sender_status(s->sender);
    if (!is_sent(s, &sender)) {
        give_up(s, &sender);
        if (backlog_age_ms(&s->backlog) > RECOUNT_MS)
            run_count(s);
        return;
    }
    if (!sender.waits)
        report_recovered();
    backlog_outdate(&s->backlog); /* a count under way began before the last one was settled */
    machine_go(&SINK, s->state, SETTLED);
}

static void check_drained(struct sink *s)
{
    if (s->priority && !priority_claims_is_resting(s->priority))
        return;
    if (claim_workers_are_resting(s->workers) && sender_status(s->sender).in_hand == 0)
        stage_drained(s->stage);
}

static bool may_claim(const struct sink *s)
{
    bool pauses = s->once && s->cycle.claims.busy && cycle_age_ms(s) < BUSY_PAUSE_MS;
    return (s->state == IDLE || s->state == SENDING) && ledger_check_passed(s->ledger_check) &&
           claim_workers_are_idle(s->workers) && !pauses;
}

/* Whatever happened: is there a next step? */
static void consider(struct sink *s)
{
    if (closing_has_begun(&s->closing))
        return;
    if (s->draining) {
        check_drained(s);
        return;
    }
    if (s->state == SENDING)
        check_sent(s);
    if (s->state == SETTLED)
        run_count(s);
    if (s->claim_wanted && may_claim(s))
        run_claim(s);
}

/* What the parts report. */

static void on_timer(void *owner)
{
    struct sink *s = owner;
    s->claim_wanted = true;
    consider(s);
}

static void on_change(void *owner)
{
    struct sink *s = owner;
    if (closing_has_begun(&s->closing))
        return;
    if (sender_status(s->sender).meter_refused) {
        sender_forget_meter(s->sender);
        meter_watch_look(s->meters);
    }
    consider(s);
}

/* There is something to send. */
static void on_page(void *owner)
{
    struct sink *s = owner;
    if (!closing_has_begun(&s->closing))
        sender_wake(s->sender);
}

/* What was held may be sent again, or is not any more. */
static void on_meters(void *owner)
{
    struct sink *s = owner;
    if (s->draining || closing_has_begun(&s->closing) || !meter_watch_has_answered(s->meters))
        return;
    sender_begin(s->sender);
    sender_wake(s->sender);
    consider(s);
}

static void on_ledger_check(void *owner)
{
    struct sink *s = owner;
    if (!s->sender || closing_has_begun(&s->closing))
        return;
    if (ledger_check_passed(s->ledger_check))
        sender_wake(s->sender);
    consider(s);
}

static void on_priority_rest(void *owner, bool claimed)
{
    struct sink *s = owner;
    if (claimed && !s->draining && !closing_has_begun(&s->closing))
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
    s->once = s->claim_wanted = once;
    report_init();
    const char *url = config->base.database_url;
    s->workers = claim_workers_open(
        stage, url,
        (struct claim_workers_events){
            .on_usable = on_change, .on_page = on_page, .on_done = take_claims, .owner = s});
    backlog_init(&s->backlog, claim_workers_session(s->workers), once, on_counted, s);
    s->sender = sender_open(stage, config, s->ledger_check, on_change, s);
    s->meters = meter_watch_open(stage, config, on_meters, s);
    if (!once) {
        s->priority = priority_claims_open(stage, url, config->interval_s, on_priority_rest, s);
        s->reconciler = reconciler_open(stage, config);
    }
    begin_cycle(s);
    machine_go(&SINK, s->state, SENDING);
    wall_timer_start(&s->timer, stage_loop(stage), once ? BUSY_PAUSE_MS : config->interval_s * 1000,
                     once ? on_change : on_timer, s);
    return s;
}

bool sink_is_ready(const struct sink *s, struct buf *why)
{
    struct sender_status sender = sender_status(s->sender);
    if (!claim_workers_are_usable(s->workers, why) || !sender_is_usable(s->sender, why))
        return false;
    if (sender.on_hold || s->cycle.claims.on_hold) {
        buf_add_str(why,
                    "held: `meterctl restore accept` says why, and with --yes lets sinks go on\n");
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

void sink_close(struct sink *s)
{
    struct closing *c = &s->closing;
    closing_begin(c, s, free, NULL, NULL);
    closing_handle(c, &s->timer.timer);
    if (s->reconciler)
        reconciler_close(s->reconciler, closing_part_closed, closing_part(c));
    if (s->priority)
        priority_claims_close(s->priority, closing_part_closed, closing_part(c));
    sender_close(s->sender, closing_part_closed, closing_part(c));
    claim_workers_close(s->workers, closing_part_closed, closing_part(c));
    meter_watch_close(s->meters, closing_part_closed, closing_part(c));
    ledger_check_close(s->ledger_check, closing_part_closed, closing_part(c));
    closing_end(c);
}
