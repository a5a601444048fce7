/* A subscription as Stripe describes it, https://docs.stripe.com/api/subscriptions/object, in both
 * of its shapes: current_period_* stands on the subscription up to 2025-02-24.acacia, on its items
 * from 2025-03-31.basil. Pure. */
#ifndef METERLINE_SUBSCRIPTION_OBJECT_H
#define METERLINE_SUBSCRIPTION_OBJECT_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Strings are borrowed from the JSON; the arrays and the fingerprint are owned. Times: Unix
 * seconds. */
struct subscription_object {
    const char *id;
    const char *customer_id;
    const char *tenant; /* metadata.tenant; NULL without */
    const char *status;
    const char *currency; /* NULL without */
    const char *interval; /* day, week, month or year */
    int64_t interval_count;
    int64_t period_start_s;
    int64_t period_end_s;
    int64_t anchor_s; /* billing_cycle_anchor */
    int64_t started_s;
    int64_t ended_s; /* 0: goes on */
    bool cancel_at_period_end;
    json_t *items;       /* [{id, price, lookup_key, metric, quantity}]; absent ones null */
    json_t *lookup_keys; /* of its prices: the first way to its plan */
    json_t *plans;       /* names that may be its plan, best first */
    char *fingerprint;   /* what we keep of it, as text: equal texts are equal states */
};

/* Returns 0, or -1 with e (ERR_INPUT) naming what is missing. */
int subscription_object_read(const json_t *object, struct subscription_object *out, struct err *e);
void subscription_object_done(struct subscription_object *s);

#endif
