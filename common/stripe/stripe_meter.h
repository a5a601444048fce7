/* Does a Stripe meter count our events the way we bill them? Pure. Stripe refuses events for a
 * meter that is missing or archived, at once or later. With another formula, other keys, or a
 * window in which events replace each other, Stripe takes the events and bills something else. */
#ifndef METERLINE_STRIPE_METER_H
#define METERLINE_STRIPE_METER_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>

/* The formula that a metric needs. newest: the newest value counts, else the sum. */
const char *stripe_meter_formula(bool newest);

/* Of two meters with the same event name the one that gets the events: the active one. Either may
 * be NULL. */
json_t *stripe_meter_better(json_t *a, json_t *b);

/* meter: as Stripe lists it, or NULL if there is none. Returns 0, or -1 with e (ERR_INPUT), whose
 * text says what is wrong and what to do. */
int stripe_meter_check(const json_t *meter, const char *event_name, bool newest, struct err *e);

#endif
