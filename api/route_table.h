/* All routes. The door and the documents get them by the context, so that they lean on no wing. */
#ifndef METERLINE_API_ROUTE_TABLE_H
#define METERLINE_API_ROUTE_TABLE_H

#include "api/route.h"

/* The tables of the wings; ends in NULL. Each ends in a route without a method. */
extern const struct api_route *const API_ROUTES[];

#endif
