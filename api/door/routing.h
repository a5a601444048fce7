/* Which route a request means. Pure. */
#ifndef METERLINE_API_ROUTING_H
#define METERLINE_API_ROUTING_H

#include "api/door/target.h"
#include "api/route.h"

/* Of tables as API_ROUTES: the route, or NULL. Then allowed has the methods that the path has, such
 * as "GET, PUT"; "": the path is unknown. A path that is written out goes before one with a {name}
 * in its place. */
enum { ROUTE_METHODS_SIZE = 40 };
const struct api_route *route_find(const struct api_route *const *tables, const char *method,
                                   const struct target *target, char allowed[ROUTE_METHODS_SIZE]);

#endif
