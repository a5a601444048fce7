/* Stripe's objects, as far as meterline reads them: customers, subscriptions and reports on meter
 * events. Pure.
 *
 * Strings are borrowed from the JSON that was read; arrays and fingerprints are owned. Times are
 * Unix seconds. */
#ifndef METERLINE_WEBHOOKD_STRIPE_OBJECTS_H
#define METERLINE_WEBHOOKD_STRIPE_OBJECTS_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* metadata.tenant of any object; NULL without. It may not be usable: see tenant_is_valid. */
const char *metadata_tenant(const json_t *object);
/* 1 to 128 bytes without control characters, the rule of the stream. */
bool tenant_is_valid(const char *tenant);

/* https://docs.stripe.com/api/customers/object */
struct customer_object {
    const char *id;
    const char *tenant; /* metadata.tenant; NULL without */
    const char *email;  /* NULL without */
    bool deleted;
};

/* Returns 0, or -1 if it has no id. object may be NULL. */
int customer_object_parse(const json_t *object, struct customer_object *out);

/* https://docs.stripe.com/api/subscriptions/object, in both of its shapes: current_period_* stands
 * on the subscription up to 2025-02-24.acacia, on its items from 2025-03-31.basil. */
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
    int64_t ended_s; /* 0: it has not ended */
    bool cancel_at_period_end;
    json_t *items;       /* [{id, price, lookup_key, metric, quantity}]; absent ones null */
    json_t *lookup_keys; /* of its prices: the first way to its plan */
    json_t *plans;       /* names that may be its plan, best first */
    char *fingerprint;   /* what is stored of it, as text: equal texts are equal states */
};

/* Returns 0, or -1 with e (ERR_INPUT) naming what is missing. */
int subscription_object_parse(const json_t *object, struct subscription_object *out, struct err *e);
void subscription_object_done(struct subscription_object *s);

/* Meter events that Stripe accepted and refused later. Facts:
 * docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api, handling errors; the SDK's
 * V1BillingMeterErrorReportTriggeredEventData. */
struct meter_report {
    json_t *named; /* owned: [{"identifier": …, "error": …}, …]; samples, perhaps not all */
    int64_t error_count; /* all of them, named or not */
    int64_t start_s;     /* Stripe checked events from here … */
    int64_t end_s;       /* … to here; -1: the report does not say */
};

/* event: a thin event. Returns 0, or -1 if it carries no data, as a delivered one may. */
int meter_report_parse(const json_t *event, struct meter_report *out);
void meter_report_done(struct meter_report *report);

#endif
