/* JSON Schemas (draft 2020-12, as OpenAPI 3.1 has them) of parameters and answers. */
#ifndef METERLINE_API_OPENAPI_SCHEMA_H
#define METERLINE_API_OPENAPI_SCHEMA_H

#include "api/route.h"

#include <jansson.h>

/* Each is the caller's to json_decref. */
json_t *schema_of_param(const struct api_param *p);
json_t *schema_of_params(const struct api_param *params); /* the object of those in the body */
json_t *schema_of_fields(const struct api_field *fields);

#endif
