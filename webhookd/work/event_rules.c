#include "webhookd/work/event_rules.h"

#include "common/backoff.h"

enum {
    FIRST_MS = 500,
    LONGEST_MS = 10 * 60 * 1000,
    TRIES_MAX = 10,
    UNCLEAR_TRIES_MAX = 5,
    TENANT_TRIES_MAX = 8
};

enum order_answer order_decide(const struct order *o)
{
    if (!o->stored)
        return ORDER_NEWS;
    /* What has ended never comes back: Stripe gives a new one a new id. */
    if (o->stored_final)
        return ORDER_STALE;
    if (o->fetched || o->event_final || o->stored_created_s < 0)
        return ORDER_NEWS;
    if (o->event_created_s != o->stored_created_s)
        return o->event_created_s > o->stored_created_s ? ORDER_NEWS : ORDER_STALE;
    if (o->prior_matches)
        return ORDER_NEWS;
    return o->event_first ? ORDER_STALE : ORDER_UNCLEAR;
}

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
