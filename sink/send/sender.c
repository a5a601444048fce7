/* The happy path: an exchange with the submission store picks as many submissions as may go out and
 * some more, and their calls run side by side. What has ended meanwhile is settled by the next
 * exchange, which picks again. So batches grow by themselves with the database's latency, and the
 * next call begins as soon as one ends.
 *
 *      RESTING --- something ended, or something may be due ---> STORING --- answer ---> RESTING
 *        +--- timer: the rate, the circuit breaker's next probe, or a second ---> (look again)
 *
 * The failure modes:
 * - PostgreSQL is away: outcomes are kept and settled when it is back, and nothing is picked.
 * - The answer of an exchange is lost: the outcomes are settled again, guarded by owner and
 * attempt, so that this is harmless. What was picked unseen comes back when its lease has passed.
 * - We die or are stopped for long: another sink takes over by the lease and sends the same bytes
 *   under the same key. We ourselves do not send what was picked too long ago.
 * - Stripe is away or refuses our key: the circuit breaker opens (send_limits.h). */
#include "sink/send/sender_internal.h"

#include "common/clock.h"
#include "sink/report.h"

#include <limits.h>
#include <stdlib.h>

/* A lease outlives the call by LEASE_SPARE_MS. */
enum { LEASE_SPARE_MS = 20000, POLL_MS = 1000, READY_CALLS_MAX = 64 };

/* What ended. */

static void keep_outcome(struct sender *s, struct submission *x)
{
    report_outcome(x);
    s->status.meter_refused |= x->outcome.meter;
    submission_queue_add_take(&s->ended, x);
}

static void keep_untried(struct sender *s, struct submission *x)
{
    submission_set_untried(x);
    submission_queue_add_take(&s->ended, x);
}

static void take_call(void *owner, struct submission_queue *ended,
                      const struct settle_outcome *outcome, bool over)
{
    struct sender *s = owner;
    struct submission *x;
    report_call(outcome->label);
    send_limits_judge(&s->limits, outcome);
    while ((x = submission_queue_pop(ended)))
        keep_outcome(s, x);
    if (over)
        s->in_flight--;
    else
        send_limits_call_begun(&s->limits);
    sender_begin_calls(s);
    sender_pump(s);
}

/* What is ready to go out. */

/* Stopped for long between COMMIT and here (a frozen machine), or ready for long: the lease may
 * have gone to another sink, and 23 h may have become 25. */
static bool is_stale(const struct submission *x)
{
    return clock_monotonic_ms() > x->begin_until_ms;
}

static bool may_go_on(void *owner)
{
    const struct sender *s = owner;
    return s->caller && !s->stopping;
}

/* Takes the first ones of ready that can be sent, as many as a call takes. */
static void fill_batch(struct sender *s, struct submission_queue *batch,
                       struct submission_queue *ready)
{
    struct submission *x;
    int most = 1;
    while (most > batch->count && (x = submission_queue_pop(ready))) {
        most = x->transport->batch_max;
        if (is_stale(x))
            keep_untried(s, x);
        else if (stripe_caller_accepts(x))
            submission_queue_add_take(batch, x);
        else
            keep_outcome(s, x);
    }
}

/* The transports take turns. NULL: nothing is ready. */
static struct submission_queue *next_ready(struct sender *s)
{
    for (int i = 0; i < TRANSPORT_COUNT; i++) {
        s->last_ready = (s->last_ready + 1) % TRANSPORT_COUNT;
        if (s->ready[s->last_ready].count > 0)
            return &s->ready[s->last_ready];
    }
    return NULL;
}

static void begin_call(struct sender *s, struct submission_queue *ready)
{
    struct submission_queue batch = {0};
    fill_batch(s, &batch, ready);
    if (batch.count == 0) {
        send_limits_unsent(&s->limits);
        return;
    }
    /* The first one was picked first. */
    const struct bisect_terms terms = {.begin_until_ms = batch.first->begin_until_ms,
                                       .may_go_on = may_go_on,
                                       .done = take_call,
                                       .owner = s};
    s->in_flight++;
    bisect_send(s->caller, &batch, &terms);
}

/* What is ready when the circuit breaker opens waits in the database, like everything else. */
void sender_give_up_ready(struct sender *s)
{
    bool any = false;
    for (int i = 0; i < TRANSPORT_COUNT; i++) {
        struct submission *x;
        while ((x = submission_queue_pop(&s->ready[i]))) {
            keep_untried(s, x);
            any = true;
        }
    }
    if (any)
        send_limits_unsent(&s->limits);
}

void sender_begin_calls(struct sender *s)
{
    struct submission_queue *ready;
    if (!may_go_on(s) || s->limits.breaker.state == BREAKER_OPEN) {
        sender_give_up_ready(s);
        return;
    }
    if (s->noting)
        return;
    while (s->in_flight < s->max_in_flight && (ready = next_ready(s)))
        begin_call(s, ready);
}

int sender_calls_of(const struct submission_queue queues[TRANSPORT_COUNT])
{
    int calls = 0;
    for (int i = 0; i < TRANSPORT_COUNT; i++)
        calls += (queues[i].count + TRANSPORTS[i]->batch_max - 1) / TRANSPORTS[i]->batch_max;
    return calls;
}

/* When to look. */

static void on_timer(uv_timer_t *timer)
{
    struct sender *s = timer->data;
    s->status.looked = false;
    sender_pump(s);
}

void sender_arm_timer(struct sender *s)
{
    int64_t wait_ms = POLL_MS;
    if (s->stopping || !s->begun || !ledger_check_passed(s->ledger_check))
        return;
    if (!s->status.looked || send_limits_are_blocked(&s->limits))
        wait_ms = send_limits_wait_ms(&s->limits);
    else if (!s->status.waits && !s->status.on_hold)
        return;
    uv_timer_start(&s->timer, on_timer, (uint64_t)(wait_ms > 0 ? wait_ms : 1), 0);
}

void sender_begin(struct sender *s)
{
    if (s->begun)
        return;
    s->begun = true;
    sender_wake(s);
}

void sender_wake(struct sender *s)
{
    s->woken = true;
    s->status.looked = false;
    sender_pump(s);
}

static void on_usable(void *owner)
{
    sender_wake(owner);
}

void sender_forget_meter(struct sender *s)
{
    s->status.meter_refused = false;
}

struct sender_status sender_status(const struct sender *s)
{
    struct sender_status status = s->status;
    status.in_hand = s->in_flight + s->ended.count + s->settling.count +
                     (s->state == SENDER_STORING) + s->noting;
    for (int i = 0; i < TRANSPORT_COUNT; i++)
        status.in_hand += s->ready[i].count;
    status.blocked = send_limits_are_blocked(&s->limits);
    status.refused = status.blocked && s->limits.refused;
    return status;
}

bool sender_is_usable(const struct sender *s, struct buf *why)
{
    return session_is_usable(s->session, why);
}

/* Opening and closing. */

struct sender *sender_open(struct stage *stage, const struct config *config,
                           struct ledger_check *ledger_check, void (*on_change)(void *owner),
                           void *owner)
{
    struct sender *s = xcalloc(1, sizeof *s);
    s->ledger_check = ledger_check;
    s->on_change = on_change;
    s->owner = owner;
    s->max_in_flight = (int)config->max_in_flight;
    s->max_ready = s->max_in_flight < READY_CALLS_MAX ? s->max_in_flight : READY_CALLS_MAX;
    s->lease_ms = config->timeout_ms + LEASE_SPARE_MS;
    s->settle_max = INT_MAX;
    s->status.progress_ms = clock_monotonic_ms();
    uuid_v7(clock_unix_ms(), s->owner_id);
    send_limits_init(&s->limits, config_rate_per_s(config));
    uv_timer_init(stage_loop(stage), &s->timer);
    uv_timer_init(stage_loop(stage), &s->patience);
    s->timer.data = s->patience.data = s;
    s->session = session_open(stage, config->base.database_url, "send",
                              (struct session_events){.on_usable = on_usable, .owner = s});
    s->caller = stripe_caller_open(stage_loop(stage), config);
    return s;
}

static void on_caller_closed(void *owner)
{
    struct sender *s = owner;
    s->caller_closing = false;
    if (closing_has_begun(&s->closing))
        closing_part_closed(&s->closing);
}

static void close_caller(struct sender *s)
{
    if (!s->caller)
        return;
    struct stripe_caller *c = s->caller;
    s->caller = NULL;
    s->caller_closing = true;
    stripe_caller_close(c, on_caller_closed, s);
}

static void on_patience(uv_timer_t *timer)
{
    close_caller(timer->data);
}

void sender_stop(struct sender *s, uint64_t patience_ms)
{
    s->stopping = true;
    uv_timer_stop(&s->timer);
    uv_timer_start(&s->patience, on_patience, patience_ms, 0);
    sender_begin_calls(s);
    sender_pump(s);
}

static void release(void *self)
{
    struct sender *s = self;
    submission_queue_done(&s->ended);
    submission_queue_done(&s->settling);
    for (int i = 0; i < TRANSPORT_COUNT; i++)
        submission_queue_done(&s->ready[i]);
    free(s->customer);
    free(s->event_name);
    free(s);
}

void sender_close(struct sender *s, void (*closed)(void *owner), void *owner)
{
    s->stopping = true;
    closing_begin(&s->closing, s, release, closed, owner);
    closing_handle(&s->closing, &s->timer);
    closing_handle(&s->closing, &s->patience);
    session_close(s->session, closing_part_closed, closing_part(&s->closing));
    close_caller(s);
    if (s->caller_closing)
        closing_part(&s->closing); /* on_caller_closed */
    if (s->noting)
        closing_part(&s->closing); /* take_noted */
    closing_end(&s->closing);
}
