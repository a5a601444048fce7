/* The routes of whoever runs the line: all tenants, not one. */
#ifndef METERLINE_API_ADMIN_ROUTES_H
#define METERLINE_API_ADMIN_ROUTES_H

#include "api/route.h"

extern const struct api_route ADMIN_LIST_ROUTES[];
extern const struct api_route TENANT_LIMIT_ROUTES[];
extern const struct api_route PIPELINE_ROUTES[];

#endif
