/* All routes, and which one a request means. */
#ifndef METERLINE_API_ROUTE_TABLE_H
#define METERLINE_API_ROUTE_TABLE_H

#include "api/door/target.h"
#include "api/route.h"

/* The tables of the wings; ends in NULL. Each ends in a route without a method. */
extern const struct api_route *const API_ROUTES[];

/* The route, or NULL. Then allowed has the methods that the path has, such as "GET, PUT"; "": the
 * path is unknown. A path that is written out goes before one with a {name} in its place. */
enum { ROUTE_METHODS_SIZE = 40 };
const struct api_route *route_find(const char *method, const struct target *target,
                                   char allowed[ROUTE_METHODS_SIZE]);

#endif
