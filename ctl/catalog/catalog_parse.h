/* The catalog file: JSON, checked to the last key. Pure.
 *
 *     {"metrics": [{"metric", "name", "unit", "aggregation", "carry"?, "dimensions"?, "from"?,
 *                   "where"?, "stripe_event_name", "transport"?, "rounding"?,
 *                   "cost_per_unit"?: {"amount_minor", "per", "currency"}, "hours_saved"?}],
 *      "plans": [{"plan", "name", "currency", "base_amount_minor", "interval"?,
 *                 "stripe_lookup_key"?, "trial_days"?, "yearly_amount_minor"?,
 *                 "seat"?: {"amount_minor", "yearly_amount_minor"?}, "custom"?,
 *                 "limits": {metric:
 *                     {"included", "cap", "window"?, "overage"?: {"amount_minor", "per"}}}}],
 *      "tax"?: {"name", "percentage", "inclusive"?},
 *      "on_collection_pause"?, "tax_rounding"?,
 *      "alerts"?: [per cent of a limit at which tenants are told; 80, 100, 120 without it]}
 *
 * A plan is sold in one currency; another currency is another plan. cost_per_unit is what a unit
 * costs who provides it, hours_saved the hours of work that one saves its user: figures alone. A
 * custom plan is sold by hand, at prices that are agreed with each customer. */
#ifndef METERLINE_CTL_CATALOG_PARSE_H
#define METERLINE_CTL_CATALOG_PARSE_H

#include "common/str.h"
#include "ctl/catalog/check.h"

#include <jansson.h>
#include <stddef.h>

/* Returns rows as the tables hold them, {"metrics": […], "plans": […], "limits": […],
 * "settings": {…}, "alerts": […], "tax": [one or none]}, arrays of objects with the tables' column
 * names, and settings by name; the caller's to json_decref. NULL if anything is wrong: then all
 * faults are appended to faults, one a line, each with its path, or the line and column where the
 * text is no JSON. */
json_t *catalog_parse(const char *text, size_t length, struct buf *faults);

/* The plans, appended to rows, and their limits. metrics: the file's array, for what limits refer
 * to. */
void catalog_parse_plans(struct check *c, json_t *plans, json_t *metrics, json_t *rows,
                         json_t *limit_rows);

/* What a plan costs without usage: columns of its row, which has its currency and interval. */
void catalog_parse_fees(struct check *c, const struct path *at, json_t *item, json_t *row);
/* tax: NULL if there is none. */
void catalog_parse_tax(struct check *c, json_t *tax, json_t *rows);
/* The price of a unit, "amount_minor" for "per" units, into that column. */
void catalog_parse_unit_price(struct check *c, const struct path *at, json_t *item, json_t *row,
                              const char *column);

enum { CATALOG_PRICE_SIZE = 32 };

/* The price of one unit: amount / per, exactly, as the text of a numeric(24,12) without trailing
 * zeros. amount: minor units, from 0; per: units, above 0; both from dec_parse_quantity. Returns 0,
 * or -1 if it takes more than 12 digits behind the point or before it. */
int catalog_unit_price(struct dec amount, struct dec per, char out[CATALOG_PRICE_SIZE]);

#endif
