#include "webhookd/work/event_rules.h"

#include "common/backoff.h"

enum {
    FIRST_MS = 500,
    LONGEST_MS = 10 * 60 * 1000,
    TRIES_MAX = 10,
    UNCLEAR_TRIES_MAX = 5,
    TENANT_TRIES_MAX = 8
};

enum event_age event_age_of(const struct event_order *o)
{
    if (!o->stored)
        return EVENT_NEWS;
    /* What has ended never comes back: Stripe gives a new one a new id. */
    if (o->stored_final)
        return EVENT_STALE;
    if (o->fetched || o->event_final || o->stored_created_s < 0)
        return EVENT_NEWS;
    if (o->event_created_s != o->stored_created_s)
        return o->event_created_s > o->stored_created_s ? EVENT_NEWS : EVENT_STALE;
    if (o->prior_matches)
        return EVENT_NEWS;
    return o->event_first ? EVENT_STALE : EVENT_UNCLEAR;
}

enum retry retry_decide(enum retry_cause cause, int64_t attempts, uint32_t random, int64_t *wait_ms)
{
    if (cause == CAUSE_REFUSED && attempts >= TRIES_MAX)
        return RETRY_FAIL;
    /* Four waits, 7.5 s in all. */
    if (cause == CAUSE_UNCLEAR && attempts >= UNCLEAR_TRIES_MAX)
        return RETRY_IGNORE;
    /* 500 ms doubled for each of seven waits: a minute in all. */
    if (cause == CAUSE_NO_TENANT && attempts >= TENANT_TRIES_MAX)
        return RETRY_IGNORE;
    struct backoff backoff = BACKOFF(FIRST_MS, LONGEST_MS);
    backoff.failures = attempts > 1 ? (unsigned)(attempts < 30 ? attempts - 1 : 30) : 0;
    *wait_ms = (int64_t)backoff_next_ms(&backoff, random);
    return RETRY_LATER;
}
