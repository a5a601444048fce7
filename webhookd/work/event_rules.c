#include "webhookd/work/event_rules.h"

#include "common/backoff.h"

enum { FIRST_MS = 500, LONGEST_MS = 60 * 1000, TRIES_MAX = 8 };

enum retry retry_decide(enum retry_cause cause, int64_t attempts, uint32_t random, int64_t *wait_ms)
{
    if (cause == CAUSE_REFUSED && attempts >= TRIES_MAX)
        return RETRY_FAIL;
    struct backoff backoff = BACKOFF(FIRST_MS, LONGEST_MS);
    backoff.failures = attempts > 1 ? (unsigned)(attempts < 30 ? attempts - 1 : 30) : 0;
    *wait_ms = (int64_t)backoff_next_ms(&backoff, random);
    return RETRY_LATER;
}
