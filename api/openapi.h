/* What the tables of routes say, as an OpenAPI 3.1 document, which GET /api/openapi.json serves,
 * and as the page docs/api.md. */
#ifndef METERLINE_API_OPENAPI_H
#define METERLINE_API_OPENAPI_H

#include "api/route.h"
#include "common/str.h"

#include <jansson.h>

extern const struct api_route DOCUMENT_ROUTES[];

/* The caller's to json_decref. */
json_t *openapi_document(const struct api_route *const *tables);
/* Appends the page. */
void openapi_add_reference(struct buf *out);
/* Forgets the text that was made once. */
void openapi_done(void);

/* The statuses that a route may answer, ascending, ends in 0. */
enum { OPENAPI_STATUSES_MAX = 16 };
void openapi_statuses(const struct api_route *route, int out[OPENAPI_STATUSES_MAX]);

#endif
