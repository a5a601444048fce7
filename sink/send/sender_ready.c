/* What was picked and waits for a place among the calls in flight: the next call begins as soon as
 * one ends, without asking the database between them. See send.c. */
#include "sink/send/sender_internal.h"

#include "common/clock.h"

/* Stopped for long between COMMIT and here (a frozen machine), or no place for long: the lease may
 * have gone to another sink, and 23 h may have become 25. */
static bool is_stale(const struct submission *x)
{
    return clock_monotonic_ms() > x->begin_until_ms;
}

static bool may_begin(const struct sender *s)
{
    return s->caller && !s->stopping && s->limits.breaker.state != BREAKER_OPEN;
}

static bool may_go_on(void *owner)
{
    const struct sender *s = owner;
    return s->caller && !s->stopping;
}

static void hand_back(struct sender *s, struct submission *x)
{
    submission_hand_back(x);
    submission_queue_add_take(&s->ended, x);
}

/* Takes the first ones of ready that can be sent, as many as a call takes. */
static void fill_batch(struct sender *s, struct submission_queue *batch,
                       struct submission_queue *ready)
{
    struct submission *x;
    int room = 1;
    while (room > batch->count && (x = submission_queue_pop(ready))) {
        room = x->transport->batch_max;
        if (is_stale(x))
            hand_back(s, x);
        else if (stripe_caller_accepts(x))
            submission_queue_add_take(batch, x);
        else
            sender_keep_outcome(s, x);
    }
}

/* The transports take turns. NULL: nothing is ready. */
static struct submission_queue *next_ready(struct sender *s)
{
    for (int i = 0; i < TRANSPORT_COUNT; i++) {
        s->next_ready = (s->next_ready + 1) % TRANSPORT_COUNT;
        if (s->ready[s->next_ready].count > 0)
            return &s->ready[s->next_ready];
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
                                       .done = sender_take_call,
                                       .owner = s};
    s->in_flight++;
    bisect_send(s->caller, &batch, &terms);
}

/* What is ready when the gate closes waits in the database, like everything else. */
void sender_give_up_ready(struct sender *s)
{
    bool any = false;
    for (int i = 0; i < TRANSPORT_COUNT; i++) {
        struct submission *x;
        while ((x = submission_queue_pop(&s->ready[i]))) {
            hand_back(s, x);
            any = true;
        }
    }
    if (any)
        send_limits_unsent(&s->limits);
}

void sender_begin_calls(struct sender *s)
{
    struct submission_queue *ready;
    if (!may_begin(s)) {
        sender_give_up_ready(s);
        return;
    }
    if (s->noting)
        return;
    while (s->in_flight < s->max_in_flight && (ready = next_ready(s)))
        begin_call(s, ready);
}

int sender_ready_count(const struct sender *s)
{
    int n = 0;
    for (int i = 0; i < TRANSPORT_COUNT; i++)
        n += s->ready[i].count;
    return n;
}

int sender_calls_of(const struct submission_queue queues[TRANSPORT_COUNT])
{
    int calls = 0;
    for (int i = 0; i < TRANSPORT_COUNT; i++)
        calls += (queues[i].count + TRANSPORTS[i]->batch_max - 1) / TRANSPORTS[i]->batch_max;
    return calls;
}
