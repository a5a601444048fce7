/* Recurring revenue of all tenants, for admins. */
#ifndef METERLINE_REVENUE_ROUTES_H
#define METERLINE_REVENUE_ROUTES_H

#include "api/route.h"

extern const struct api_route REVENUE_ROUTES[];

#endif
