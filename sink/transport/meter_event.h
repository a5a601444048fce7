/* Transport meter_events. Pure. */
#ifndef METERLINE_SINK_METER_EVENT_H
#define METERLINE_SINK_METER_EVENT_H

#include "sink/transport/transport.h"

/* {"object": "billing.meter_event", "identifier": usage's, …} */
bool meter_event_is_receipt(const char *body, size_t length, const struct usage *usage);

#endif
