/* Meter events that Stripe accepted with a 2xx and refused later: the thin events
 * v1.billing.meter.error_report_triggered and .no_meter_found. The submissions that a report names
 * become `failed`, and the sink compares their tenants with Stripe. Pure. Facts:
 * docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api, handling errors; the SDK's
 * V1BillingMeterErrorReportTriggeredEventData. */
#ifndef METERLINE_WEBHOOKD_METER_REPORT_H
#define METERLINE_WEBHOOKD_METER_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Times are Unix seconds. */
struct meter_report {
    json_t *named; /* owned: [{"identifier": …, "error": …}, …]; samples, perhaps not all */
    int64_t error_count; /* all of them, named or not */
    int64_t start_s;     /* Stripe checked events from here … */
    int64_t end_s;       /* … to here; -1: the report does not say */
};

/* Whether an event of this type is such a report. */
bool meter_report_is(const char *type);
/* event: a thin event. Returns 0, or -1 if it carries no data, as a delivered one may. */
int meter_report_parse(const json_t *event, struct meter_report *out);
void meter_report_done(struct meter_report *report);

#endif
