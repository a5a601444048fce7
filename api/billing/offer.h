/* A plan as Stripe sells it: the price of its fee and those of its usage, found by their lookup
 * keys. Pure.
 *
 * `meterctl stripe setup` gives the fee the key <plan>, or <plan>_year of a yearly one, and the
 * usage of a metric <plan>_<metric>. Of a yearly plan, usage may have prices of its own, with
 * <plan>_<metric>_year; else it is billed by the month beside the yearly fee. */
#ifndef METERLINE_API_OFFER_H
#define METERLINE_API_OFFER_H

#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { OFFER_USAGE_MAX = 19 }; /* Stripe takes 20 items (docs.stripe.com/api/subscriptions) */

/* All borrowed: from the plan's row, and Stripe's list of prices. */
struct offer_price {
    const char *id;
    const char *metric; /* NULL: the fee */
    const char *meter;  /* NULL: Stripe bills it without a meter */
    const char *currency;
    const char *interval; /* day, week, month, year */
    int64_t interval_count;
    int64_t amount; /* minor units for one; -1: in tiers or in parts of a unit */
};

struct offer {
    const char *plan;
    struct offer_price fee;
    struct offer_price usage[OFFER_USAGE_MAX];
    int usage_n;
};

/* What the catalog says of a plan, as api_plan() tells it:
 * {"plan", "lookup_key", "usage": [{"metric", "is_billed"}]}. interval: "month", "year", or NULL
 * for the plan's own. Appends the lookup keys to ask Stripe for, as a list of JSON texts. */
json_t *offer_lookup_keys(const json_t *plan, const char *interval);

/* prices: Stripe's objects. missing: gets the lookup key without which the plan cannot be sold, if
 * it returns -1. */
int offer_read(struct offer *out, const json_t *plan, const char *interval, const json_t *prices,
               char missing[80]);

#endif
