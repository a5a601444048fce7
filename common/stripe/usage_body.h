/* The bytes that tell Stripe of a submission, by transport. Pure: the sink sends them, and the
 * audit makes them once more from the row. */
#ifndef METERLINE_USAGE_BODY_H
#define METERLINE_USAGE_BODY_H

#include "common/dec.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

/* What a body is made of. */
struct usage {
    const char *event_name;
    const char *customer;          /* Stripe's id */
    const char *subscription_item; /* Stripe's id, of usage_records; else NULL */
    struct dec quantity;           /* whole, below 10^15 */
    const char *identifier;
    int64_t usage_at_s; /* Unix seconds, a whole minute */
};

/* Each is appended. The form: event_name, payload[stripe_customer_id], payload[value], identifier,
 * timestamp. */
void meter_event_body(struct buf *out, const struct usage *usage);
/* One member of events: event_name, identifier, payload, timestamp as RFC 3339. */
void meter_event_stream_body(struct buf *out, const struct usage *usage);
/* quantity, timestamp, action=increment. */
void usage_record_body(struct buf *out, const struct usage *usage);

/* By the name in metrics.transport; false if this build does not have it. */
bool usage_body_make(const char *transport, struct buf *out, const struct usage *usage);

#endif
