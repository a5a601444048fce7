/* What the next invoice would be: as it is, and if the subscription changed. */
#ifndef METERLINE_API_PREVIEW_ROUTES_H
#define METERLINE_API_PREVIEW_ROUTES_H

#include "api/route.h"

extern const struct api_route PREVIEW_ROUTES[];

#endif
