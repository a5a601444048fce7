/* The catalog file's plans and their limits. */
#include "ctl/catalog/catalog_parse.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { TITLE_MAX_BYTES = 200, LOOKUP_KEY_MAX_BYTES = 200 }; /* Stripe: prices[lookup_key] */

static const char *const PLAN_KEYS[] = {
    "plan",     "name",   "currency",          "base_amount_minor",
    "interval", "limits", "stripe_lookup_key", NULL};
static const char *const LIMIT_KEYS[] = {"included", "cap", "window", "overage", NULL};
static const char *const OVERAGE_KEYS[] = {"amount_minor", "per", NULL};
static const char *const INTERVALS[] = {"day", "week", "month", "year", NULL};
static const char *const CAPS[] = {"none", "soft", "hard", NULL};
static const char *const WINDOWS[] = {"period", "month", "day", NULL};

static void parse_currency(struct check *c, const struct path *at, json_t *item, json_t *row)
{
    struct path p = path_key(at, "currency");
    const char *currency = check_text(c, at, item, "currency", 16, CHECK_REQUIRED);
    if (currency && (strlen(currency) != 3 || strspn(currency, "abcdefghijklmnopqrstuvwxyz") != 3))
        check_fault(c, &p, "must be three lower-case letters, such as usd");
    check_set_text(row, "currency", currency);
}

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

#define PRICE_UNIT 1000000000000LL /* one, with the twelve digits of a unit price */

static dec_int greatest_common_divisor(dec_int a, dec_int b)
{
    while (b != 0) {
        dec_int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static void format_price(dec_int scaled, char out[CATALOG_PRICE_SIZE])
{
    int64_t whole = (int64_t)(scaled / PRICE_UNIT);
    int64_t part = (int64_t)(scaled % PRICE_UNIT);
    int length = snprintf(out, CATALOG_PRICE_SIZE, "%" PRId64 ".%012" PRId64, whole, part);
    while (out[length - 1] == '0')
        out[--length] = '\0';
    if (out[length - 1] == '.')
        out[length - 1] = '\0';
}

/* In lowest terms, amount / per ends within twelve digits exactly if per divides 10^12. */
int catalog_unit_price(struct dec amount, struct dec per, char out[CATALOG_PRICE_SIZE])
{
    assert(per.scaled > 0);
    dec_int divisor = greatest_common_divisor(amount.scaled, per.scaled);
    dec_int over = amount.scaled / divisor;
    dec_int under = per.scaled / divisor;
    if (PRICE_UNIT % under != 0)
        return -1;
    dec_int factor = PRICE_UNIT / under;
    if (over > ((dec_int)PRICE_UNIT * PRICE_UNIT - 1) / factor)
        return -1;
    format_price(over * factor, out);
    return 0;
}

static void set_price(struct check *c, const struct path *at, struct dec amount, struct dec per,
                      json_t *row)
{
    char price[CATALOG_PRICE_SIZE];
    if (dec_is_zero(per)) {
        struct path p = path_key(at, "per");
        check_fault(c, &p, "must be above 0");
    } else if (catalog_unit_price(amount, per, price)) {
        check_fault(
            c, at,
            "the price of one unit must be exact with 12 digits before and 12 behind the point");
    } else {
        check_set_text(row, "overage_unit_price", price);
    }
}

static void parse_overage(struct check *c, const struct path *at, json_t *item, json_t *row)
{
    struct path p = path_key(at, "overage");
    json_t *overage = json_object_get(item, "overage");
    struct dec amount;
    struct dec per;
    json_object_set_new(row, "overage_unit_price", json_null());
    if (!overage || !check_object(c, &p, overage))
        return;
    check_keys(c, &p, overage, OVERAGE_KEYS);
    bool has_amount = check_decimal(c, &p, overage, "amount_minor", &amount);
    bool has_per = check_decimal(c, &p, overage, "per", &per);
    const char *included = json_string_value(json_object_get(item, "included"));
    if (included && strcmp(included, "unlimited") == 0)
        check_fault(c, &p, "would never be charged, because included is unlimited");
    if (has_amount && has_per)
        set_price(c, &p, amount, per, row);
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
                        json_t *row)
{
    if (!check_object(c, at, item))
        return;
    check_keys(c, at, item, LIMIT_KEYS);
    parse_included(c, at, item, row);
    check_set_text(row, "cap", check_choice(c, at, item, "cap", CAPS, NULL));
    parse_window(c, at, item, metric, row);
    parse_overage(c, at, item, row);
}

static void parse_limits(struct check *c, const struct path *at, json_t *plan, json_t *metrics,
                         json_t *rows)
{
    struct path p = path_key(at, "limits");
    json_t *limits = json_object_get(plan, "limits");
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
        parse_limit(c, &each, item, known, row);
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
    parse_currency(c, at, item, row);
    json_object_set_new(row, "base_amount_minor",
                        json_integer(check_whole(c, at, item, "base_amount_minor")));
    check_set_text(row, "billing_interval",
                   check_choice(c, at, item, "interval", INTERVALS, "month"));
    check_set_text(
        row, "stripe_lookup_key",
        check_text(c, at, item, "stripe_lookup_key", LOOKUP_KEY_MAX_BYTES, CHECK_OPTIONAL));
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
