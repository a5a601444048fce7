/* Transport meter_event_stream, for volume: up to 100 events a call. Pure. */
#ifndef METERLINE_SINK_METER_EVENT_STREAM_H
#define METERLINE_SINK_METER_EVENT_STREAM_H

#include "sink/transport/transport.h"

/* {}: Stripe confirms a batch as a whole and names none of its events. */
bool meter_event_stream_is_receipt(const char *body, size_t length, const struct usage *usage);

#endif
