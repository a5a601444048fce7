/* Reading what Stripe counted of a customer's usage: of a meter by its event summaries
 * (docs.stripe.com/api/billing/meter-event_summary), of a legacy subscription item by its usage
 * record summaries, which exist up to version 2025-02-24.acacia. One reading at a time. */
#ifndef METERLINE_STRIPE_USAGE_H
#define METERLINE_STRIPE_USAGE_H

#include "common/stripe/reconcile_rule.h"
#include "common/stripe/stripe_api.h"

#include <stdbool.h>
#include <stdint.h>

struct stripe_usage;

/* One customer's usage of one meter, or of a subscription item. Texts are borrowed until done has
 * run. */
struct customer_meter {
    const char *customer;
    const char *event_name;
    const char *item; /* a subscription item with usage records; NULL for a meter */
    bool newest;      /* the newest value counts (formula last), else the sum */
};

/* api: borrowed. */
struct stripe_usage *stripe_usage_new(struct stripe_api *api);
void stripe_usage_free(struct stripe_usage *u);

/* Read the account's meters, before anything of a meter is read, and to see new ones. */
void stripe_usage_load(struct stripe_usage *u, stripe_done_fn done, void *owner);

/* Does Stripe have a meter of that event name? */
bool stripe_usage_has_meter(const struct stripe_usage *u, const char *event_name);
/* May usage be sent to it? As stripe_meter_check. */
int stripe_usage_check_meter(const struct stripe_usage *u, const char *event_name, bool newest,
                             struct err *e);
/* May it be read? Returns 0, or -1 with e (ERR_INPUT): Stripe has no such meter, or its formula is
 * not what we bill by. */
int stripe_usage_check(const struct stripe_usage *u, const struct customer_meter *meter,
                       struct err *e);

/* Fill *reading, which must live until done, with what Stripe counted from start_s until before
 * end_s, whole minutes, Unix seconds. Of an item: the total of the period in which the middle of
 * that time lies. meter was checked (asserted). done gets ERR_INPUT if a number cannot be read. */
void stripe_usage_read(struct stripe_usage *u, const struct customer_meter *meter, int64_t start_s,
                       int64_t end_s, struct reading *reading, stripe_done_fn done, void *owner);

/* The same for each hour, UTC, in which something was counted; only of a meter. start_s and end_s
 * are whole hours. */
typedef void (*stripe_hour_fn)(void *owner, int64_t start_s, struct reading reading);
void stripe_usage_hours(struct stripe_usage *u, const struct customer_meter *meter, int64_t start_s,
                        int64_t end_s, stripe_hour_fn on_hour, stripe_done_fn done, void *owner);

/* The error concerns what was asked for: other meters can be read all the same. */
bool stripe_usage_refused_this(const struct err *error);

#endif
