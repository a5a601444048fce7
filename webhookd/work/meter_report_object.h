/* What Stripe reports of meter events that it took and refused later. Pure.
 * Facts: docs.stripe.com/billing/subscriptions/usage-based/recording-usage-api, handling errors;
 * the SDK's V1BillingMeterErrorReportTriggeredEventData. */
#ifndef METERLINE_METER_REPORT_OBJECT_H
#define METERLINE_METER_REPORT_OBJECT_H

#include <jansson.h>
#include <stdint.h>

struct meter_report {
    json_t *named; /* owned: [{"identifier": …, "error": …}, …]; samples, never surely all */
    int64_t error_count; /* of all */
    int64_t start_s;     /* between these Stripe checked, Unix seconds; -1: it does not say */
    int64_t end_s;
};

/* event: a thin event. Returns 0, or -1 if it lacks its data, as those that are delivered may. */
int meter_report_read(const json_t *event, struct meter_report *out);
void meter_report_done(struct meter_report *report);

#endif
