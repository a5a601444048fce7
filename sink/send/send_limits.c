/* May anything be sent now, and how much. */
#include "sink/send/send_limits.h"

#include "common/backoff.h"
#include "common/clock.h"
#include "sink/report.h"

void flow_init(struct flow *f, int64_t calls_per_s)
{
    *f = (struct flow){0};
    stripe_limits_init(&f->limits, calls_per_s, clock_monotonic_ms());
    gate_init(&f->gate);
}

int flow_allows(struct flow *f)
{
    int64_t now_ms = clock_monotonic_ms();
    int calls = stripe_limits_available(&f->limits, now_ms);
    int most = gate_allows(&f->gate, now_ms);
    return calls < most ? calls : most;
}

int64_t flow_wait_ms(struct flow *f)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t gate_ms = gate_wait_ms(&f->gate, now_ms);
    return gate_ms > 0 ? gate_ms : stripe_limits_wait_ms(&f->limits, now_ms);
}

bool flow_is_blocked(const struct flow *f)
{
    return f->gate.state != GATE_FLOWING;
}

void flow_picking(struct flow *f)
{
    if (f->gate.state == GATE_BLOCKED)
        gate_probe(&f->gate);
}

void flow_picked(struct flow *f, int calls)
{
    stripe_limits_take(&f->limits, calls);
    if (calls == 0)
        flow_unsent(f);
}

void flow_more(struct flow *f)
{
    stripe_limits_take(&f->limits, 1);
}

void flow_unsent(struct flow *f)
{
    gate_forget(&f->gate, clock_monotonic_ms());
}

static void open_gate(struct flow *f)
{
    report_stripe_up(true);
    f->refused = false;
    if (!gate_works(&f->gate))
        return;
    log_cause_recovered(&f->blocks);
    log_info(sending_resumed, LOG_STR("peer", "stripe"));
}

static void close_gate(struct flow *f, const struct settle_outcome *o)
{
    uint64_t held;
    int64_t now_ms = clock_monotonic_ms();
    report_stripe_up(false);
    f->refused = o->peer == SETTLE_PEER_REFUSES;
    uint64_t wait_ms = gate_block(&f->gate, now_ms, backoff_random());
    /* Calls that were in flight tell the same once more. */
    if (wait_ms == 0 || !log_cause_failed(&f->blocks, o->error.text, now_ms, &held))
        return;
    log_event(LOG_ERROR, f->refused ? LOG_OF_account_refused : LOG_OF_sending_blocked,
              LOG_STR("peer", "stripe"), LOG_U64("wait_ms", wait_ms), LOG_U64("held_back", held),
              LOG_ERR(&o->error));
}

void flow_judge(struct flow *f, const struct settle_outcome *o)
{
    if (o->slow_down)
        stripe_limits_refused(&f->limits, o->retry_after_ms, &o->error);
    switch (o->peer) {
    case SETTLE_PEER_WORKS:
        open_gate(f);
        break;
    case SETTLE_PEER_AWAY:
    case SETTLE_PEER_REFUSES:
        close_gate(f, o);
        break;
    case SETTLE_PEER_UNSURE:
        /* One call without an answer stops nobody else, but a probe asked for more than that. */
        if (f->gate.state == GATE_PROBING)
            close_gate(f, o);
        break;
    }
}
