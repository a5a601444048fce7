#include "sink/send/send_limits.h"

#include "common/clock.h"
#include "sink/report.h"

void send_limits_init(struct send_limits *l, int64_t calls_per_s)
{
    *l = (struct send_limits){0};
    stripe_limits_init(&l->rate, calls_per_s, clock_monotonic_ms());
    breaker_init(&l->breaker);
}

int send_limits_allowed(struct send_limits *l)
{
    int64_t now_ms = clock_monotonic_ms();
    int calls = stripe_limits_available(&l->rate, now_ms);
    int most = breaker_allowed(&l->breaker, now_ms);
    return calls < most ? calls : most;
}

int64_t send_limits_wait_ms(struct send_limits *l)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t breaker_ms = breaker_wait_ms(&l->breaker, now_ms);
    return breaker_ms > 0 ? breaker_ms : stripe_limits_wait_ms(&l->rate, now_ms);
}

bool send_limits_are_blocked(const struct send_limits *l)
{
    return l->breaker.state != BREAKER_CLOSED;
}

void send_limits_picking(struct send_limits *l)
{
    if (l->breaker.state == BREAKER_OPEN)
        breaker_probe(&l->breaker);
}

void send_limits_picked(struct send_limits *l, int calls)
{
    stripe_limits_take(&l->rate, calls);
    if (calls == 0)
        send_limits_unsent(l);
}

void send_limits_call_begun(struct send_limits *l)
{
    stripe_limits_take(&l->rate, 1);
}

void send_limits_unsent(struct send_limits *l)
{
    breaker_forget(&l->breaker, clock_monotonic_ms());
}

static void close_breaker(struct send_limits *l)
{
    report_stripe_up(true);
    l->refused = false;
    if (!breaker_reset(&l->breaker))
        return;
    log_cause_recovered(&l->outages);
    log_info(sending_resumed, LOG_STR("peer", "stripe"));
}

static void open_breaker(struct send_limits *l, const struct settle_outcome *o)
{
    uint64_t suppressed;
    int64_t now_ms = clock_monotonic_ms();
    report_stripe_up(false);
    l->refused = o->peer == SETTLE_PEER_REFUSES;
    uint64_t wait_ms = breaker_trip(&l->breaker, now_ms, backoff_random());
    if (wait_ms == 0 || !log_cause_failed(&l->outages, o->error.text, now_ms, &suppressed))
        return;
    log_event(LOG_ERROR, l->refused ? LOG_OF_account_refused : LOG_OF_sending_blocked,
              LOG_STR("peer", "stripe"), LOG_U64("wait_ms", wait_ms),
              LOG_U64("held_back", suppressed), LOG_ERR(&o->error));
}

void send_limits_judge(struct send_limits *l, const struct settle_outcome *o)
{
    if (o->slow_down)
        stripe_limits_refused(&l->rate, o->retry_after_ms, &o->error);
    switch (o->peer) {
    case SETTLE_PEER_WORKS:
        close_breaker(l);
        break;
    case SETTLE_PEER_AWAY:
    case SETTLE_PEER_REFUSES:
        open_breaker(l, o);
        break;
    case SETTLE_PEER_UNSURE:
        /* One call without an answer stops nobody else, but a probe asked for more than that. */
        if (l->breaker.state == BREAKER_PROBING)
            open_breaker(l, o);
        break;
    }
}
