/* The sender's exchanges with the submission store, and what their failures mean. See sender.c. */
#include "sink/send/sender_internal.h"

#include "common/clock.h"
#include "common/machine.h"
#include "sink/report.h"

#include <limits.h>
#include <stdlib.h>

/* How late after its pick a call may begin: half of what a lease has to spare. */
enum { BEGIN_WITHIN_MS = 10000, EXCHANGE_CALLS_MAX = 100 };

static const struct machine SENDER = {"sender",
                                      {[SENDER_RESTING] = {"resting", TO(SENDER_STORING)},
                                       [SENDER_STORING] = {"storing", TO(SENDER_RESTING)}}};

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

static void take_hold(struct sender *s, bool on_hold)
{
    uint64_t suppressed;
    s->status.on_hold = on_hold;
    report_held(on_hold);
    if (on_hold && log_repeat_failed(&s->holds, clock_monotonic_ms(), &suppressed))
        log_error(sinks_held,
                  LOG_MSG("nothing is claimed or sent: `meterctl restore accept` says why, and "
                          "with --yes lets sinks go on"));
    if (!on_hold && log_repeat_recovered(&s->holds))
        log_info(hold_lifted, LOG_MSG("the hold is lifted: claiming and sending resume"));
}

/* The next exchange goes on behind the last lane seen, so that every lane is reached. At the end it
 * begins at the first one again. */
static void take_lane(struct sender *s, struct store_answer *answer)
{
    bool from_first = s->customer == NULL;
    bool full = answer->cost >= s->asked * TRANSPORT_CALL_COST;
    free(s->customer);
    free(s->event_name);
    s->customer = full ? answer->customer : NULL;
    s->event_name = full ? answer->event_name : NULL;
    if (!full) {
        free(answer->customer);
        free(answer->event_name);
    }
    s->status.looked = from_first && !full && !s->woken;
}

/* After an error Redis may not know of the pick: what was picked goes back, untried. */
static void take_noted(void *owner, const struct err *error, int64_t known)
{
    struct sender *s = owner;
    (void)known;
    s->noting = false;
    if (error)
        sender_give_up_ready(s);
    if (closing_has_begun(&s->closing)) {
        closing_part_closed(&s->closing);
        return;
    }
    if (error)
        ledger_check_again(s->ledger_check); /* no pick before Redis takes a number */
    sender_begin_calls(s);
    s->on_change(s->owner);
    sender_pump(s);
}

static void take_picks(struct sender *s, struct store_answer *answer)
{
    if (answer->unchecked)
        ledger_check_again(s->ledger_check);
    else
        take_hold(s, answer->on_hold);
    take_lane(s, answer);
    if (answer->any)
        stage_crash_point("after_pick");
    send_limits_picked(&s->limits, sender_calls_of(answer->picked));
    for (int i = 0; i < TRANSPORT_COUNT; i++) {
        for (struct submission *x = answer->picked[i].first; x; x = x->next)
            x->begin_until_ms = s->exchange_began_ms + BEGIN_WITHIN_MS;
        submission_queue_move(&s->ready[i], &answer->picked[i]);
    }
    if (answer->picks > 0) {
        s->noting = true;
        ledger_check_note_pick(s->ledger_check, answer->ledger, answer->picks, take_noted, s);
    }
    sender_begin_calls(s);
}

static void drop_refused(struct sender *s, const struct err *error)
{
    struct submission *x = submission_queue_pop(&s->ended);
    log_error(outcome_refused, LOG_STR("identifier", x->identifier),
              LOG_STR("outcome", x->outcome.label), LOG_STR("sqlstate", error->sqlstate),
              LOG_ERR(error));
    submission_free(x);
}

/* Nothing was written, or we do not know: all outcomes are settled again. If the database refuses
 * one of them, it is found by halving their number, and left to its lease. */
static void take_failure(struct sender *s, const struct err *error)
{
    uint64_t suppressed;
    int n = s->settling.count;
    submission_queue_move(&s->settling, &s->ended);
    submission_queue_move(&s->ended, &s->settling);
    send_limits_unsent(&s->limits);
    if (log_repeat_failed(&s->failures, clock_monotonic_ms(), &suppressed))
        log_warn(settle_delayed, LOG_I64("submissions", n), LOG_U64("held_back", suppressed),
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

static void take_exchange(void *owner, const struct err *error, struct store_answer *answer)
{
    struct sender *s = owner;
    machine_go(&SENDER, s->state, SENDER_RESTING);
    if (error) {
        take_failure(s, error);
    } else {
        log_repeat_recovered(&s->failures);
        s->settle_max = INT_MAX;
        s->status.waits = answer->waits || answer->abandoned;
        count_settled(s);
        if (s->asked > 0)
            take_picks(s, answer);
    }
    s->on_change(s->owner);
    sender_pump(s);
}

static int calls_wanted(struct sender *s)
{
    if (s->stopping || !s->begun || s->noting || !ledger_check_passed(s->ledger_check) ||
        s->status.looked || s->settle_max < INT_MAX)
        return 0;
    int room = s->max_in_flight + s->max_ready - s->in_flight - sender_calls_of(s->ready);
    int allowed = send_limits_allowed(&s->limits);
    if (allowed > EXCHANGE_CALLS_MAX)
        allowed = EXCHANGE_CALLS_MAX;
    return allowed < room ? allowed : room;
}

static void run_exchange(struct sender *s, int calls)
{
    machine_go(&SENDER, s->state, SENDER_STORING);
    uv_timer_stop(&s->timer);
    if (calls > 0)
        send_limits_picking(&s->limits);
    while (s->ended.count > 0 && s->settling.count < s->settle_max)
        submission_queue_add_take(&s->settling, submission_queue_pop(&s->ended));
    s->woken = false;
    s->asked = calls;
    s->exchange_began_ms = clock_monotonic_ms();
    const struct store_terms terms = {.owner = s->owner_id,
                                      .lease_ms = s->lease_ms,
                                      .calls = calls,
                                      .customer = s->customer ? s->customer : "",
                                      .event_name = s->event_name ? s->event_name : ""};
    submission_store_run(s->session, &s->settling, &terms, take_exchange, s);
}

void sender_pump(struct sender *s)
{
    if (closing_has_begun(&s->closing) || s->state == SENDER_STORING ||
        !session_is_idle(s->session))
        return;
    /* A lane that is set free may have its next one due at once. */
    if (s->ended.count > 0)
        s->status.looked = false;
    int calls = calls_wanted(s);
    if (calls > 0 || s->ended.count > 0)
        run_exchange(s, calls);
    else
        sender_arm_timer(s);
}
