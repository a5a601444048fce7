/* The catalog file: JSON, checked to the last key. Pure.
 *
 *     {"metrics": [{"metric", "name", "unit", "aggregation", "carry"?, "dimensions"?, "from"?,
 * "where"?, "stripe_event_name", "transport"?, "rounding"?}], "plans":   [{"plan", "name",
 * "currency", "base_amount_minor", "interval"?, "stripe_lookup_key"?, "limits": {metric:
 * {"included", "cap", "overage"?: {"amount_minor", "per"}}}}]} */
#ifndef METERLINE_CTL_CATALOG_PARSE_H
#define METERLINE_CTL_CATALOG_PARSE_H

#include "common/str.h"
#include "ctl/catalog/check.h"

#include <jansson.h>
#include <stddef.h>

/* Returns rows as the tables hold them, {"metrics": […], "plans": […], "limits": […]}, each an
 * array of objects with the tables' column names; the caller's to json_decref. NULL if anything is
 * wrong: then all faults are appended to faults, one a line, each with its path, or the line and
 * column where the text is no JSON. */
json_t *catalog_parse(const char *text, size_t length, struct buf *faults);

/* The parts, each of which appends rows. metrics: the file's array, for what limits refer to. */
void catalog_parse_metrics(struct check *c, json_t *metrics, json_t *rows);
void catalog_parse_plans(struct check *c, json_t *plans, json_t *metrics, json_t *rows,
                         json_t *limit_rows);

#endif
