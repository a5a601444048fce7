/* Which events are news? Stripe promises no order, so an event may tell of a state that is older
 * than what is stored. Pure. */
#ifndef METERLINE_ORDER_H
#define METERLINE_ORDER_H

#include <stdbool.h>
#include <stdint.h>

struct order {
    bool stored;              /* something is stored of this object */
    bool stored_final;        /* … and it was deleted or canceled */
    int64_t stored_created_s; /* created of the event it comes from; -1: of none */
    int64_t event_created_s;
    bool event_final; /* the event deletes or cancels */
    bool fetched;     /* the object was fetched anew, under the customer's lock: it is the truth */
    bool prior_matches; /* what the event says was before is what is stored */
};

/* True: apply. False: the event is stale. Events of the same second are told apart by
 * prior_matches: the one that comes second in truth has the first one's outcome as its past. */
bool order_is_news(const struct order *o);

#endif
