/* The catalog file's plans and their limits. */
#include "ctl/catalog/catalog_parse.h"

#include <string.h>

enum { TITLE_MAX_BYTES = 200, LOOKUP_KEY_MAX_BYTES = 200 }; /* Stripe: prices[lookup_key] */

static const char *const PLAN_KEYS[] = {"plan",
                                        "name",
                                        "currency",
                                        "base_amount_minor",
                                        "interval",
                                        "limits",
                                        "stripe_lookup_key",
                                        "custom",
                                        "trial_days",
                                        "yearly_amount_minor",
                                        "seat",
                                        NULL};
static const char *const LIMIT_KEYS[] = {"included", "cap", "window", "overage", NULL};
static const char *const OVERAGE_KEYS[] = {"amount_minor", "per", NULL};
static const char *const INTERVALS[] = {"day", "week", "month", "year", NULL};
static const char *const CAPS[] = {"none", "soft", "hard", NULL};
static const char *const WINDOWS[] = {"period", "month", "day", NULL};

/* included: a decimal or "unlimited", which is NULL in the table. */
static void parse_included(struct check *c, const struct path *at, json_t *item, json_t *row)
{
    const char *text = json_string_value(json_object_get(item, "included"));
    char shown[DEC_TEXT_SIZE];
    struct dec included;
    json_object_set_new(row, "included", json_null());
    if (text && strcmp(text, "unlimited") == 0)
        return;
    if (!check_decimal(c, at, item, "included", &included))
        return;
    dec_format(included, shown);
    check_set_text(row, "included", shown);
}

static void parse_overage(struct check *c, const struct path *at, json_t *item, bool custom,
                          json_t *row)
{
    struct path p = path_key(at, "overage");
    json_t *overage = json_object_get(item, "overage");
    json_object_set_new(row, "overage_unit_price", json_null());
    if (!overage || !check_object(c, &p, overage))
        return;
    check_keys(c, &p, overage, OVERAGE_KEYS);
    const char *included = json_string_value(json_object_get(item, "included"));
    if (included && strcmp(included, "unlimited") == 0)
        check_fault(c, &p, "would never be charged, because included is unlimited");
    if (custom)
        check_fault(c, &p,
                    "is not for a custom plan: its prices are agreed with each customer, and "
                    "stand in the tenant's own limits");
    catalog_parse_unit_price(c, &p, overage, row, "overage_unit_price");
}

/* metric: of the file; NULL: there is none, which is told elsewhere. A value that replaces the one
 * before it, or is one of different ones, says nothing of a part of the period. */
static void parse_window(struct check *c, const struct path *at, json_t *item, json_t *metric,
                         json_t *row)
{
    const char *window = check_choice(c, at, item, "window", WINDOWS, "period");
    const char *aggregation = json_string_value(json_object_get(metric, "aggregation"));
    check_set_text(row, "limit_window", window);
    if (window && strcmp(window, "period") != 0 && aggregation &&
        (strcmp(aggregation, "last") == 0 || strcmp(aggregation, "unique") == 0)) {
        struct path p = path_key(at, "window");
        check_fault(c, &p,
                    "must be period: the metric's aggregation is %s, and only sum, count and max "
                    "can be counted by month or day",
                    aggregation);
    }
}

static void parse_limit(struct check *c, const struct path *at, json_t *item, json_t *metric,
                        bool custom, json_t *row)
{
    if (!check_object(c, at, item))
        return;
    check_keys(c, at, item, LIMIT_KEYS);
    parse_included(c, at, item, row);
    check_set_text(row, "cap", check_choice(c, at, item, "cap", CAPS, NULL));
    parse_window(c, at, item, metric, row);
    parse_overage(c, at, item, custom, row);
}

static void parse_limits(struct check *c, const struct path *at, json_t *plan, json_t *metrics,
                         json_t *rows)
{
    struct path p = path_key(at, "limits");
    json_t *limits = json_object_get(plan, "limits");
    bool custom = json_is_true(json_object_get(plan, "custom"));
    const char *metric;
    json_t *item;
    if (!check_object(c, &p, limits))
        return;
    json_object_foreach(limits, metric, item)
    {
        struct path each = path_key(&p, metric);
        json_t *row = json_object();
        json_t *known = check_find_by(metrics, json_array_size(metrics), "metric", metric);
        if (!known)
            check_fault(c, &each, "there is no such metric in this catalog");
        json_object_set(row, "plan", json_object_get(plan, "plan"));
        json_object_set(row, "currency", json_object_get(plan, "currency"));
        check_set_text(row, "metric", metric);
        parse_limit(c, &each, item, known, custom, row);
        json_array_append_new(rows, row);
    }
}

static void parse_plan(struct check *c, const struct path *at, json_t *item, json_t *rows)
{
    json_t *row = json_object();
    check_keys(c, at, item, PLAN_KEYS);
    check_set_text(row, "plan", check_name(c, at, item, "plan", CHECK_REQUIRED));
    check_set_text(row, "display_name",
                   check_text(c, at, item, "name", TITLE_MAX_BYTES, CHECK_REQUIRED));
    check_set_text(row, "currency", check_currency(c, at, item));
    check_set_text(row, "billing_interval",
                   check_choice(c, at, item, "interval", INTERVALS, "month"));
    check_set_text(
        row, "stripe_lookup_key",
        check_text(c, at, item, "stripe_lookup_key", LOOKUP_KEY_MAX_BYTES, CHECK_OPTIONAL));
    catalog_parse_fees(c, at, item, row);
    json_array_append_new(rows, row);
}

void catalog_parse_plans(struct check *c, json_t *plans, json_t *metrics, json_t *rows,
                         json_t *limit_rows)
{
    struct path at = path_key(NULL, "plans");
    for (size_t i = 0; i < json_array_size(plans); i++) {
        struct path each = path_index(&at, i);
        json_t *item = json_array_get(plans, i);
        if (!check_object(c, &each, item))
            continue;
        parse_plan(c, &each, item, rows);
        parse_limits(c, &each, item, metrics, limit_rows);
        check_unique_text(c, &each, plans, i, "plan");
        check_unique_text(c, &each, plans, i, "stripe_lookup_key");
    }
}
