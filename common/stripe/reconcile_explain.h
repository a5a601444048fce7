/* In which minutes does Stripe hold something else than we sent? Narrowed down by hours, and then
 * by halves: a customer's meter has at most a few such minutes among its 44,640. */
#ifndef METERLINE_RECONCILE_EXPLAIN_H
#define METERLINE_RECONCILE_EXPLAIN_H

#include "common/stripe/stripe_usage.h"

#include <stdint.h>

/* A minute that differs, and what Stripe holds of it. */
struct odd_minute {
    int64_t at_s; /* Unix seconds */
    struct held held;
};

struct explain;

/* place, minutes: borrowed until explain_free. minutes: all n that we sent, rising. start_s, end_s:
 * whole minutes, Unix seconds. most: odd minutes that are looked for. */
struct explain *explain_new(struct stripe_usage *usage, const struct usage_place *place,
                            const struct our_minute *minutes, int n, int64_t start_s, int64_t end_s,
                            int most);
/* done: exactly once, from the loop; an error is Stripe's. */
void explain_start(struct explain *x, stripe_done_fn done, void *owner);
/* The odd minutes, rising; borrowed until explain_free. */
const struct odd_minute *explain_found(const struct explain *x, int *n);
/* Not while it runs. */
void explain_free(struct explain *x);

#endif
