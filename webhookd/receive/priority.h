/* Which events a customer waits for, because they give access back, or give it, or more of it:
 * those are worked before a backlog of others. Pure. */
#ifndef METERLINE_WEBHOOKD_PRIORITY_H
#define METERLINE_WEBHOOKD_PRIORITY_H

#include "common/stripe/objects/stripe_event.h"

/* Whose event it is: the object's customer, or the object itself. NULL: the event does not say. */
const char *event_customer(const struct stripe_event *event);

/* As webhook_events.priority. */
enum priority {
    PRIORITY_UNBLOCKS = 0, /* a subscription is in order again */
    PRIORITY_BEGINS = 1,   /* one has begun, or has other prices or quantities; a checkout */
    PRIORITY_OTHER = 2     /* renewals too */
};

/* Of a thin event only its type is known. */
enum priority event_priority(const struct stripe_event *event);

#endif
