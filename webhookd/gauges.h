/* What /metrics tells about the webhook events that are kept. */
#ifndef METERLINE_WEBHOOKD_GAUGES_H
#define METERLINE_WEBHOOKD_GAUGES_H

#include <libpq-fe.h>

/* counts: rows of state, number of events, age of the oldest in s, as count_events.sql and
 * count_waiting.sql give them. */
void gauges_set(const PGresult *counts);

#endif
