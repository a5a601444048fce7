/* A subscription or customer of Stripe's as the API shows it, while webhookd has not stored it yet:
 * the same members as show_subscription.sql and show_customer.sql. Pure. */
#ifndef METERLINE_API_SUBSCRIPTION_VIEW_H
#define METERLINE_API_SUBSCRIPTION_VIEW_H

#include "api/route.h"

#include <jansson.h>
#include <stdint.h>

/* known: as in plan_change.h. A new reference. */
json_t *subscription_view(const char *tenant, const json_t *subscription, const json_t *known);
json_t *customer_view(const char *tenant, const json_t *customer);

/* Unix seconds as RFC 3339; null for 0. */
void view_set_time(json_t *out, const char *name, int64_t unix_s);

/* What a change was from and to, for the history: plan, interval, seats, status, cancel_at. */
json_t *subscription_summary(const json_t *subscription, const json_t *known);

/* The members, for the documents. */
extern const struct api_field SUBSCRIPTION_FIELDS[];
extern const struct api_field CUSTOMER_FIELDS[];

#endif
