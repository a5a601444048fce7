/* The happy path: a turn with the database picks as many submissions as may go out, their calls run
 * side by side, and what has ended meanwhile is settled by the next turn, which picks again. So
 * batches grow by themselves with the database's latency.
 *
 *      REST --- something ended, or something may be due ---> TURNING --- answer ---> REST
 *        +--- timer: the rate, the gate's next probe, or a second has passed ---> (look again)
 *
 * The failure modes: PostgreSQL is away: outcomes are kept and settled when it is back, nothing is
 * picked. A turn's answer is lost: the outcomes are settled again (guarded by owner and attempt, so
 * that is harmless), and what was picked unseen comes back when its lease has passed. We die or are
 * stopped for long: another sink takes over by the lease and sends the same bytes under the same
 * key; we ourselves do not send what was picked too long ago. Stripe is away or refuses our key:
 * the gate. */
#include "sink/send.h"

#include "common/clock.h"
#include "common/log.h"
#include "sink/call.h"
#include "sink/flow.h"
#include "sink/report.h"
#include "sink/turn.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* A lease outlives the call by LEASE_SPARE_MS; half of that is how late a call may begin. */
enum { LEASE_SPARE_MS = 20000, BEGIN_WITHIN_MS = 10000, POLL_MS = 1000 };
enum sender_state { REST, TURNING };

#define TO(state) (1u << (state))
static const unsigned MOVES[] = {[REST] = TO(TURNING), [TURNING] = TO(REST)};

struct sender {
    struct stage *stage;
    struct session *session;
    struct caller *caller; /* NULL once it is being closed */
    uv_timer_t timer;
    uv_timer_t patience; /* until calls in flight are given up */
    enum sender_state state;
    struct flow flow;
    struct submission_queue ended;    /* with an outcome, not yet in the database */
    struct submission_queue settling; /* in the turn that is under way */
    int max_in_flight;
    int in_flight;
    int settle_max; /* of one turn; less while one is looked for that the database refuses */
    int64_t lease_ms;
    int64_t turn_started_ms; /* monotonic */
    int asked;               /* picks of the turn under way */
    char owner_id[UUID_TEXT_SIZE];
    char *customer; /* the lane after which to go on; NULL: from the first */
    char *event_name;
    bool stopping;
    bool closing;
    struct sender_status status;
    struct log_repeat holds;
    struct log_repeat turn_failures;
    void (*on_change)(void *owner);
    void *owner;
    void (*closed)(void *owner);
    void *closed_owner;
    int handles;
};

static void pump(struct sender *s);

static void sender_go(struct sender *s, enum sender_state next)
{
    assert(MOVES[s->state] & TO(next));
    s->state = next;
}

static void on_timer(uv_timer_t *timer)
{
    struct sender *s = timer->data;
    s->status.looked = false;
    pump(s);
}

/* When to look again, if nothing happens before. */
static void arm_timer(struct sender *s)
{
    int64_t wait_ms = POLL_MS;
    if (s->stopping || s->closing)
        return;
    if (!s->status.looked || flow_is_blocked(&s->flow))
        wait_ms = flow_wait_ms(&s->flow);
    else if (!s->status.waits && !s->status.held)
        return;
    uv_timer_start(&s->timer, on_timer, (uint64_t)(wait_ms > 0 ? wait_ms : 1), 0);
}

static void keep_outcome(struct sender *s, struct submission *x)
{
    flow_judge(&s->flow, &x->outcome);
    report_outcome(x);
    submission_queue_add_take(&s->ended, x);
}

static void on_call_ended(void *owner, struct submission *x)
{
    struct sender *s = owner;
    s->in_flight--;
    keep_outcome(s, x);
    pump(s);
}

static void send_picked(struct sender *s, struct submission *x)
{
    /* Stopped for long between COMMIT and here (a frozen machine): the lease may have gone to
     * another sink, and 23 h may have become 25. */
    bool stale = clock_monotonic_ms() - s->turn_started_ms > BEGIN_WITHIN_MS;
    if (stale || s->stopping) {
        caller_hand_back(x);
        flow_unsent(&s->flow);
        submission_queue_add_take(&s->ended, x);
        return;
    }
    s->in_flight++;
    caller_send(s->caller, x);
}

static void count_settled(struct sender *s)
{
    struct submission *x;
    while ((x = submission_queue_pop(&s->settling))) {
        if (x->outcome.state == SETTLE_RETRY)
            s->status.delayed++;
        else
            s->status.progress_ms = clock_monotonic_ms();
        s->status.sent += x->outcome.state == SETTLE_SENT;
        submission_free(x);
    }
}

static void take_hold(struct sender *s, bool held)
{
    uint64_t held_back;
    s->status.held = held;
    report_held(held);
    if (held && log_repeat_failed(&s->holds, clock_monotonic_ms(), &held_back))
        log_error("held_back",
                  LOG_MSG("the ledger was found behind the stream: nothing is claimed or "
                          "sent until `meterctl restore accept`"));
    if (!held && log_repeat_recovered(&s->holds))
        log_info("hold_lifted", LOG_MSG("claims and sends again"));
}

/* The next turn goes on behind the last lane seen, so that every lane has its turn; at the end it
 * begins at the first one again. */
static void take_lane(struct sender *s, struct turn_answer *answer)
{
    bool from_first = s->customer == NULL;
    bool full = answer->rows == s->asked;
    free(s->customer);
    free(s->event_name);
    s->customer = full ? answer->customer : NULL;
    s->event_name = full ? answer->event_name : NULL;
    if (!full) {
        free(answer->customer);
        free(answer->event_name);
    }
    s->status.looked = from_first && !full;
}

static void take_picks(struct sender *s, struct turn_answer *answer)
{
    struct submission *x;
    take_hold(s, answer->held);
    take_lane(s, answer);
    if (answer->picked.count > 0)
        stage_crash_point("after_pick");
    flow_picked(&s->flow, answer->picked.count);
    while ((x = submission_queue_pop(&answer->picked)))
        send_picked(s, x);
}

static void drop_refused(struct sender *s, const struct err *error)
{
    struct submission *x = submission_queue_pop(&s->ended);
    log_error("settle_refused", LOG_STR("identifier", x->identifier),
              LOG_STR("outcome", x->outcome.label), LOG_STR("sqlstate", error->sqlstate),
              LOG_ERR(error));
    submission_free(x);
}

/* Nothing was written, or we do not know: all outcomes are settled again. If it is one of them that
 * the database refuses, it is looked for by halves, and left to its lease. */
static void take_failure(struct sender *s, const struct err *error)
{
    uint64_t held;
    int n = s->settling.count;
    submission_queue_move(&s->settling, &s->ended);
    submission_queue_move(&s->ended, &s->settling);
    flow_unsent(&s->flow);
    if (log_repeat_failed(&s->turn_failures, clock_monotonic_ms(), &held))
        log_warn("settle_delayed", LOG_I64("submissions", n), LOG_U64("held_back", held),
                 LOG_STR("sqlstate", error->sqlstate), LOG_ERR(error));
    s->status.looked = true; /* no pick before the next look */
    s->status.waits = true;
    if (error->kind != ERR_REFUSED || error->retry)
        return;
    if (s->asked > 0 && n > 0) {
        s->settle_max = n; /* it may have been the pick: settle alone first */
        return;
    }
    if (n == 1)
        drop_refused(s, error);
    s->settle_max = n > 1 ? n / 2 : INT_MAX;
}

static void take_turn(void *owner, const struct err *error, struct turn_answer *answer)
{
    struct sender *s = owner;
    sender_go(s, REST);
    if (error) {
        take_failure(s, error);
    } else {
        log_repeat_recovered(&s->turn_failures);
        s->settle_max = INT_MAX;
        s->status.waits = answer->waits || answer->abandoned;
        count_settled(s);
        if (s->asked > 0)
            take_picks(s, answer);
    }
    s->on_change(s->owner);
    pump(s);
}

static int picks_wanted(struct sender *s)
{
    if (s->stopping || s->closing || s->status.looked || s->settle_max < INT_MAX)
        return 0;
    int free_places = s->max_in_flight - s->in_flight;
    int allowed = flow_allows(&s->flow);
    return allowed < free_places ? allowed : free_places;
}

static void take_to_settle(struct sender *s)
{
    while (s->ended.count > 0 && s->settling.count < s->settle_max)
        submission_queue_add_take(&s->settling, submission_queue_pop(&s->ended));
}

static void run_turn(struct sender *s, int picks)
{
    sender_go(s, TURNING);
    uv_timer_stop(&s->timer);
    if (picks > 0)
        flow_picking(&s->flow);
    take_to_settle(s);
    s->asked = picks;
    s->turn_started_ms = clock_monotonic_ms();
    const struct turn_terms terms = {.owner = s->owner_id,
                                     .lease_ms = s->lease_ms,
                                     .picks = picks,
                                     .customer = s->customer ? s->customer : "",
                                     .event_name = s->event_name ? s->event_name : ""};
    turn_run(s->session, &s->settling, &terms, take_turn, s);
}

static void pump(struct sender *s)
{
    if (s->closing || s->state == TURNING || !session_is_idle(s->session))
        return;
    /* A lane that is set free may have its next one due at once. */
    if (s->ended.count > 0)
        s->status.looked = false;
    int picks = picks_wanted(s);
    if (picks > 0 || s->ended.count > 0)
        run_turn(s, picks);
    else
        arm_timer(s);
}

void sender_wake(struct sender *s)
{
    s->status.looked = false;
    pump(s);
}

struct sender_status sender_status(const struct sender *s)
{
    struct sender_status status = s->status;
    status.in_hand = s->in_flight + s->ended.count + s->settling.count + (s->state == TURNING);
    status.blocked = flow_is_blocked(&s->flow);
    status.refused = status.blocked && s->flow.refused;
    return status;
}

static void release_handle(struct sender *s)
{
    if (--s->handles == 0)
        s->closed(s->closed_owner);
}

static void on_caller_closed(void *owner)
{
    struct sender *s = owner;
    if (s->closing)
        release_handle(s);
    else
        s->handles--;
}

static void close_caller(struct sender *s)
{
    if (!s->caller)
        return;
    struct caller *c = s->caller;
    s->caller = NULL;
    caller_close(c, on_caller_closed, s);
}

static void on_patience(uv_timer_t *timer)
{
    close_caller(timer->data);
}

static void init_timer(struct sender *s, uv_timer_t *timer)
{
    uv_timer_init(stage_loop(s->stage), timer);
    timer->data = s;
    s->handles++;
}

struct sender *sender_open(struct stage *stage, const struct config *config,
                           struct session *session, void (*on_change)(void *owner), void *owner)
{
    struct sender *s = xcalloc(1, sizeof *s);
    s->stage = stage;
    s->session = session;
    s->on_change = on_change;
    s->owner = owner;
    s->max_in_flight = (int)config->max_in_flight;
    s->lease_ms = config->timeout_ms + LEASE_SPARE_MS;
    s->settle_max = INT_MAX;
    s->status.progress_ms = clock_monotonic_ms();
    uuid_v7(clock_unix_ms(), s->owner_id);
    flow_init(&s->flow, config_rate_per_s(config));
    init_timer(s, &s->timer);
    init_timer(s, &s->patience);
    s->caller = caller_open(stage_loop(stage), config, on_call_ended, s);
    s->handles++;
    return s;
}

void sender_stop(struct sender *s, uint64_t patience_ms)
{
    s->stopping = true;
    uv_timer_stop(&s->timer);
    uv_timer_start(&s->patience, on_patience, patience_ms, 0);
    pump(s);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release_handle(handle->data);
}

void sender_close(struct sender *s, void (*closed)(void *owner), void *owner)
{
    s->closing = true;
    s->closed = closed;
    s->closed_owner = owner;
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
    uv_close((uv_handle_t *)&s->patience, on_timer_closed);
    close_caller(s);
}

void sender_free(struct sender *s)
{
    submission_queue_done(&s->ended);
    submission_queue_done(&s->settling);
    free(s->customer);
    free(s->event_name);
    free(s);
}
