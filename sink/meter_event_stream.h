/* Transport meter_event_stream, for volume: up to 100 events a call. Pure. */
#ifndef METERLINE_SINK_METER_EVENT_STREAM_H
#define METERLINE_SINK_METER_EVENT_STREAM_H

#include "sink/transport.h"

/* One event: {"event_name", "identifier", "payload": {"stripe_customer_id", "value"}, "timestamp"}.
 * Appended. The texts of usage are UTF-8. */
void meter_event_stream_body(struct buf *out, const struct usage *usage);

/* {}: Stripe confirms a batch as a whole and names none of its events. */
bool meter_event_stream_is_receipt(const char *body, size_t length, const struct usage *usage);

#endif
