/* Two rules for webhook events: which ones are news, and when an event is tried again. Pure. */
#ifndef METERLINE_WEBHOOKD_EVENT_RULES_H
#define METERLINE_WEBHOOKD_EVENT_RULES_H

#include <stdbool.h>
#include <stdint.h>

/* Stripe promises no order, so an event may tell of a state that is older than the stored one. */
struct event_order {
    bool stored;              /* something is stored of this object */
    bool stored_final;        /* … and it was deleted or canceled */
    int64_t stored_created_s; /* created of the event it comes from; -1: of no event */
    int64_t event_created_s;
    bool event_first;   /* the event creates the object */
    bool event_final;   /* the event deletes or cancels it */
    bool fetched;       /* the object was fetched under the customer's lock, so it is current */
    bool prior_matches; /* the state before the event, as the event tells it, is the stored one */
};

/* Events of the same second are told apart by the state before them: the next one starts from what
 * is stored. One that starts from another state is unclear: it is old, or its predecessor is still
 * to come. The second is worth a wait. */
enum event_age { EVENT_NEWS, EVENT_STALE, EVENT_UNCLEAR };

enum event_age event_age_of(const struct event_order *o);

/* Why a try failed. */
enum retry_cause {
    CAUSE_REFUSED,   /* PostgreSQL refuses the event's own data */
    CAUSE_UNCLEAR,   /* an event of the same second may still come */
    CAUSE_NO_TENANT, /* the customer's own event may still come */
    CAUSE_PEER       /* Stripe or PostgreSQL cannot do it now: tried for as long as it takes */
};

enum retry { RETRY_LATER, RETRY_IGNORE, RETRY_FAIL };

/* attempts: tries so far, this one included. random: any 32 bits. *wait_ms is set for RETRY_LATER.
 */
enum retry retry_decide(enum retry_cause cause, int64_t attempts, uint32_t random,
                        int64_t *wait_ms);

#endif
