/* Transport usage_records, for accounts that still have metered prices without a meter. Pure. */
#ifndef METERLINE_SINK_USAGE_RECORD_H
#define METERLINE_SINK_USAGE_RECORD_H

#include "sink/transport/transport.h"

/* {"object": "usage_record", "quantity": usage's, "subscription_item": usage's, …}. A record has no
 * identifier. */
bool usage_record_is_receipt(const char *body, size_t length, const struct usage *usage);

/* The period of the timestamp was invoiced, or the subscription has ended. */
bool usage_record_is_too_late(const char *message);

#endif
