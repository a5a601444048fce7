/* Finds the minutes in which Stripe counted something else than we sent, to explain a drift. The
 * search goes by hours, and then by halves: of the 44,640 minutes of a month only a few differ. */
#ifndef METERLINE_DRIFT_SEARCH_H
#define METERLINE_DRIFT_SEARCH_H

#include "common/stripe/stripe_usage.h"

#include <stdint.h>

/* A minute that differs, and what Stripe counted in it. */
struct drift_minute {
    int64_t at_s; /* Unix seconds */
    struct reading reading;
};

struct drift_search;

/* meter, minutes: borrowed until drift_search_free. minutes: all n that we sent, rising. start_s,
 * end_s: whole minutes, Unix seconds. most: the search ends once so many minutes are found. */
struct drift_search *drift_search_new(struct stripe_usage *usage,
                                      const struct customer_meter *meter,
                                      const struct sent_minute *minutes, int n, int64_t start_s,
                                      int64_t end_s, int most);
/* done: exactly once, from the loop; an error is Stripe's. */
void drift_search_start(struct drift_search *x, stripe_done_fn done, void *owner);
/* The minutes found, rising; borrowed until drift_search_free. */
const struct drift_minute *drift_search_found(const struct drift_search *x, int *n);
/* Not while it runs. */
void drift_search_free(struct drift_search *x);

#endif
