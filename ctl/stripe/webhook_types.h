/* The types of events that webhookd makes use of, for the endpoint that they are sent to. Pure. */
#ifndef METERLINE_CTL_WEBHOOK_TYPES_H
#define METERLINE_CTL_WEBHOOK_TYPES_H

#include <jansson.h>

/* Those that an endpoint of this api_version can have, sorted; the caller's. */
json_t *webhook_types(const char *version);

#endif
