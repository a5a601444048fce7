/* May anything be sent now, and how much. */
#include "sink/send/send_limits.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "sink/report.h"

void send_limits_init(struct send_limits *l, int64_t calls_per_s)
{
    *l = (struct send_limits){0};
    stripe_limits_init(&l->limits, calls_per_s, clock_monotonic_ms());
    circuit_breaker_init(&l->breaker);
}

int send_limits_allowed(struct send_limits *l)
{
    int64_t now_ms = clock_monotonic_ms();
    int calls = stripe_limits_available(&l->limits, now_ms);
    int most = circuit_breaker_allowed(&l->breaker, now_ms);
    return calls < most ? calls : most;
}

int64_t send_limits_wait_ms(struct send_limits *l)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t gate_ms = circuit_breaker_wait_ms(&l->breaker, now_ms);
    return gate_ms > 0 ? gate_ms : stripe_limits_wait_ms(&l->limits, now_ms);
}

bool send_limits_are_blocked(const struct send_limits *l)
{
    return l->breaker.state != BREAKER_CLOSED;
}

void send_limits_picking(struct send_limits *l)
{
    if (l->breaker.state == BREAKER_OPEN)
        circuit_breaker_probe(&l->breaker);
}

void send_limits_picked(struct send_limits *l, int calls)
{
    stripe_limits_take(&l->limits, calls);
    if (calls == 0)
        send_limits_unsent(l);
}

void send_limits_call_begun(struct send_limits *l)
{
    stripe_limits_take(&l->limits, 1);
}

void send_limits_unsent(struct send_limits *l)
{
    circuit_breaker_forget(&l->breaker, clock_monotonic_ms());
}

static void take_success(struct send_limits *l)
{
    report_stripe_up(true);
    l->refused = false;
    if (!circuit_breaker_reset(&l->breaker))
        return;
    log_cause_recovered(&l->blocks);
    log_info(sending_resumed, LOG_STR("peer", "stripe"));
}

static void take_outage(struct send_limits *l, const struct settle_outcome *o)
{
    uint64_t held;
    int64_t now_ms = clock_monotonic_ms();
    report_stripe_up(false);
    l->refused = o->peer == SETTLE_PEER_REFUSES;
    uint64_t wait_ms = circuit_breaker_trip(&l->breaker, now_ms, backoff_random());
    /* Calls that were in flight tell the same once more. */
    if (wait_ms == 0 || !log_cause_failed(&l->blocks, o->error.text, now_ms, &held))
        return;
    log_event(LOG_ERROR, l->refused ? LOG_OF_account_refused : LOG_OF_sending_blocked,
              LOG_STR("peer", "stripe"), LOG_U64("wait_ms", wait_ms), LOG_U64("held_back", held),
              LOG_ERR(&o->error));
}

void send_limits_judge(struct send_limits *l, const struct settle_outcome *o)
{
    if (o->slow_down)
        stripe_limits_refused(&l->limits, o->retry_after_ms, &o->error);
    switch (o->peer) {
    case SETTLE_PEER_WORKS:
        take_success(l);
        break;
    case SETTLE_PEER_AWAY:
    case SETTLE_PEER_REFUSES:
        take_outage(l, o);
        break;
    case SETTLE_PEER_UNSURE:
        /* One call without an answer stops nobody else, but a probe asked for more than that. */
        if (l->breaker.state == BREAKER_PROBING)
            take_outage(l, o);
        break;
    }
}
