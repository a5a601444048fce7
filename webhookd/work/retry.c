#include "webhookd/work/retry.h"

#include "common/backoff.h"

enum {
    FIRST_MS = 500,
    LONGEST_MS = 10 * 60 * 1000,
    TRIES_MAX = 10,
    UNCLEAR_TRIES_MAX = 5,
    TENANT_TRIES_MAX = 8
};

enum retry retry_decide(enum retry_cause cause, int64_t attempts, uint32_t random, int64_t *wait_ms)
{
    if (cause == RETRY_REFUSED && attempts >= TRIES_MAX)
        return RETRY_FAIL;
    /* Four waits, 7.5 s in all. */
    if (cause == RETRY_UNCLEAR && attempts >= UNCLEAR_TRIES_MAX)
        return RETRY_IGNORE;
    /* 500 ms doubled for each of seven waits: a minute in all. */
    if (cause == RETRY_NO_TENANT && attempts >= TENANT_TRIES_MAX)
        return RETRY_IGNORE;
    struct backoff backoff = BACKOFF(FIRST_MS, LONGEST_MS);
    backoff.failures = attempts > 1 ? (unsigned)(attempts < 30 ? attempts - 1 : 30) : 0;
    *wait_ms = (int64_t)backoff_next_ms(&backoff, random);
    return RETRY_LATER;
}
