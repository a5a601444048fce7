/* Routes of usage, quotas, what was submitted, the history and alerts; and portal tokens. */
#ifndef METERLINE_API_USAGE_ROUTES_H
#define METERLINE_API_USAGE_ROUTES_H

#include "api/route.h"

extern const struct api_route USAGE_ROUTES[];
extern const struct api_route PORTAL_ROUTES[];

#endif
