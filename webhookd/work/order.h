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

#endif
