/* Two rules for webhook events: which ones are news, and when one is tried again. Pure. */
#ifndef METERLINE_WEBHOOKD_EVENT_RULES_H
#define METERLINE_WEBHOOKD_EVENT_RULES_H

#include <stdbool.h>
#include <stdint.h>

/* Stripe promises no order, so an event may tell of a state that is older than what is stored. */
struct order {
    bool stored;              /* something is stored of this object */
    bool stored_final;        /* … and it was deleted or canceled */
    int64_t stored_created_s; /* created of the event it comes from; -1: of none */
    int64_t event_created_s;
    bool event_first; /* the event tells of the object's creation */
    bool event_final; /* the event deletes or cancels */
    bool fetched;     /* the object was fetched anew, under the customer's lock: it is the truth */
    bool prior_matches; /* what the event says was before is what is stored */
};

/* Events of the same second are told apart by their past: the one that comes next has what is
 * stored as its past. One whose past is something else is unclear: it is old, or it is ahead of one
 * that is still to come, so that it is worth asking again in a moment. */
enum order_answer { ORDER_NEWS, ORDER_STALE, ORDER_UNCLEAR };

enum order_answer order_decide(const struct order *o);

/* Why a try did not succeed. */
enum retry_cause {
    RETRY_REFUSED,   /* PostgreSQL does not take the event's own data */
    RETRY_UNCLEAR,   /* an event of the same second may still come */
    RETRY_NO_TENANT, /* the customer's own event may still come */
    RETRY_PEER       /* Stripe is away, or PostgreSQL at fault: waits for as long as it takes */
};

enum retry { RETRY_LATER, RETRY_IGNORE, RETRY_FAIL };

/* attempts: tries so far, this one included. random: any 32 bits. *wait_ms is set for RETRY_LATER.
 */
enum retry retry_decide(enum retry_cause cause, int64_t attempts, uint32_t random,
                        int64_t *wait_ms);

#endif
