/* Whether a meter of Stripe's counts what we send as we bill it. Pure. A meter that is missing or
 * archived has every event refused, at once or later; with another formula, other keys or a window
 * within which events replace each other, Stripe takes them and bills something else. */
#ifndef METERLINE_STRIPE_METER_H
#define METERLINE_STRIPE_METER_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>

/* The formula that a metric needs. newest: the newest value counts, else the sum. */
const char *stripe_meter_formula(bool newest);

/* Of two meters with one event name the one that events go to: the active one. NULL: none. */
json_t *stripe_meter_better(json_t *a, json_t *b);

/* meter: as Stripe lists it; NULL: there is none. Returns 0, or -1 with e (ERR_INPUT): what is
 * wrong with it, and what to do. */
int stripe_meter_check(const json_t *meter, const char *event_name, bool newest, struct err *e);

#endif
