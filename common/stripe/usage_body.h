/* The body of the request that submits usage to Stripe, by transport. Pure: the sink sends it, and
 * `meterctl audit` makes it again from the submission's row. */
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

/* Each appends to out. A form: event_name, payload[stripe_customer_id], payload[value], identifier,
 * timestamp (docs.stripe.com/api/billing/meter-event/create). */
void meter_event_body(struct buf *out, const struct usage *usage);
/* JSON, one element of `events`: event_name, identifier, payload, timestamp as RFC 3339
 * (docs.stripe.com/api/v2/billing/meter-event-stream/create). */
void meter_event_stream_body(struct buf *out, const struct usage *usage);
/* A form: quantity, timestamp, action=increment. */
void usage_record_body(struct buf *out, const struct usage *usage);

/* One of these by its name in metrics.transport; returns false if there is none of that name. */
bool usage_body_make(const char *transport, struct buf *out, const struct usage *usage);

#endif
