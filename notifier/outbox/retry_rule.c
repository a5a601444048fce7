#include "notifier/outbox/retry_rule.h"

#include "common/backoff.h"

static int64_t wait_after(const struct retry_terms *terms, int64_t failures, uint32_t random)
{
    struct backoff b = BACKOFF((uint64_t)terms->first_ms, (uint64_t)terms->max_ms);
    b.failures = failures > 64 ? 64 : (unsigned)(failures - 1);
    return (int64_t)backoff_next_ms(&b, random);
}

void retry_rule(const struct retry_terms *terms, struct message *m, uint32_t random)
{
    bool given_up = terms->give_up_ms >= 0 && m->waited_ms >= terms->give_up_ms;
    m->wait_ms = m->address_wait_ms = -1;
    if (m->end == MESSAGE_ADDRESS_DOWN)
        m->address_wait_ms = wait_after(terms, m->failures + 1, random);
    if (m->end == MESSAGE_SENT || m->end == MESSAGE_REFUSED || given_up)
        return;
    if (m->end == MESSAGE_CHANNEL_DOWN)
        m->wait_ms = 0; /* nothing of this way is tried before the channel's own wait is over */
    else if (m->end == MESSAGE_ADDRESS_DOWN && m->failures > 0)
        m->wait_ms = m->address_wait_ms;
    else
        m->wait_ms = wait_after(terms, m->attempts, random);
}
