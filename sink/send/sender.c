/* The happy path: a turn with the database picks as many submissions as may go out and some more,
 * their calls run side by side, and what has ended meanwhile is settled by the next turn, which
 * picks again. So batches grow by themselves with the database's latency, and no place is empty
 * meanwhile.
 *
 *      REST --- something ended, or something may be due ---> STORING --- answer ---> REST
 *        +--- timer: the rate, the gate's next probe, or a second has passed ---> (look again)
 *
 * The failure modes: PostgreSQL is away: outcomes are kept and settled when it is back, nothing is
 * picked. A turn's answer is lost: the outcomes are settled again (guarded by owner and attempt, so
 * that is harmless), and what was picked unseen comes back when its lease has passed. We die or are
 * stopped for long: another sink takes over by the lease and sends the same bytes under the same
 * key; we ourselves do not send what was picked too long ago. Stripe is away or refuses our key:
 * the gate. */
#include "sink/send/sender.h"

#include "common/clock.h"
#include "sink/report.h"
#include "sink/send/sender_internal.h"

#include <limits.h>
#include <stdlib.h>

/* A lease outlives the call by LEASE_SPARE_MS. */
enum { LEASE_SPARE_MS = 20000, POLL_MS = 1000, READY_CALLS_MAX = 64 };

static void on_timer(uv_timer_t *timer)
{
    struct sender *s = timer->data;
    s->status.looked = false;
    sender_pump(s);
}

void sender_arm_timer(struct sender *s)
{
    int64_t wait_ms = POLL_MS;
    if (s->stopping || s->closing || !s->begun || !ledger_check_passed(s->ledger_check))
        return;
    if (!s->status.looked || send_limits_are_blocked(&s->limits))
        wait_ms = send_limits_wait_ms(&s->limits);
    else if (!s->status.waits && !s->status.held)
        return;
    uv_timer_start(&s->timer, on_timer, (uint64_t)(wait_ms > 0 ? wait_ms : 1), 0);
}

void sender_keep_outcome(struct sender *s, struct submission *x)
{
    report_outcome(x);
    s->status.meter_refused |= x->outcome.meter;
    submission_queue_add_take(&s->ended, x);
}

void sender_take_call(void *owner, struct submission_queue *ended,
                      const struct settle_outcome *outcome, bool over)
{
    struct sender *s = owner;
    struct submission *x;
    report_call(outcome->label);
    send_limits_judge(&s->limits, outcome);
    while ((x = submission_queue_pop(ended)))
        sender_keep_outcome(s, x);
    if (over)
        s->in_flight--;
    else
        send_limits_call_begun(&s->limits);
    sender_begin_calls(s);
    sender_pump(s);
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

void sender_forget_meter(struct sender *s)
{
    s->status.meter_refused = false;
}

struct sender_status sender_status(const struct sender *s)
{
    struct sender_status status = s->status;
    status.in_hand = s->in_flight + sender_ready_count(s) + s->ended.count + s->settling.count +
                     (s->state == STORING) + s->noting;
    status.blocked = send_limits_are_blocked(&s->limits);
    status.refused = status.blocked && s->limits.refused;
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
    struct stripe_caller *c = s->caller;
    s->caller = NULL;
    stripe_caller_close(c, on_caller_closed, s);
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
                           struct session *session, struct ledger_check *ledger_check,
                           void (*on_change)(void *owner), void *owner)
{
    struct sender *s = xcalloc(1, sizeof *s);
    s->stage = stage;
    s->session = session;
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
    init_timer(s, &s->timer);
    init_timer(s, &s->patience);
    s->caller = stripe_caller_open(stage_loop(stage), config);
    s->handles++;
    return s;
}

void sender_stop(struct sender *s, uint64_t patience_ms)
{
    s->stopping = true;
    uv_timer_stop(&s->timer);
    uv_timer_start(&s->patience, on_patience, patience_ms, 0);
    sender_begin_calls(s);
    sender_pump(s);
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
    for (int i = 0; i < TRANSPORT_COUNT; i++)
        submission_queue_done(&s->ready[i]);
    free(s->customer);
    free(s->event_name);
    free(s);
}
