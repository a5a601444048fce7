/* Which events a customer waits for, because they give access or more of it: those are worked
 * before a backlog of others. Pure. */
#ifndef METERLINE_WEBHOOKD_UNBLOCKING_H
#define METERLINE_WEBHOOKD_UNBLOCKING_H

#include "common/stripe/objects/stripe_event.h"

/* Whose event it is: the object's customer, or the object itself. NULL: the event does not say. */
const char *event_customer(const struct stripe_event *event);

/* A subscription that has begun, is in order again, or has other prices or quantities; a checkout
 * that was paid. A renewal is not one of them. Of a thin event only its type is known. */
bool event_unblocks(const struct stripe_event *event);

#endif
