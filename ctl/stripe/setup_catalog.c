#include "ctl/stripe/setup_catalog.h"

#include "common/contract.h"
#include "common/dec.h"
#include "common/stripe/stripe_meter.h"
#include "ctl/stripe/webhook_types.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    ITEMS_MAX = 20, /* of a subscription: docs.stripe.com/api/subscriptions/create */
    LABEL_MAX = 12, /* product[unit_label] */
    LOOKUP_KEY_MAX = 200
};

/* Meters with formula last, which older versions do not know. */
#define METER_VERSION "2025-03-31.basil"

struct making {
    const json_t *rows;
    const struct setup_wish *wish;
    struct buf *faults;
    json_t *objects;
};

static const char *text_of(const json_t *row, const char *column)
{
    const char *text = json_string_value(json_object_get(row, column));
    return text ? text : "";
}

static bool is_null(const json_t *row, const char *column)
{
    const json_t *value = json_object_get(row, column);
    return !value || json_is_null(value);
}

static bool is(const json_t *row, const char *column, const char *text)
{
    return strcmp(text_of(row, column), text) == 0;
}

static const json_t *metric_row(const struct making *m, const char *metric)
{
    size_t i;
    const json_t *row;
    json_array_foreach(json_object_get(m->rows, "metrics"), i, row)
    {
        if (is(row, "metric", metric))
            return row;
    }
    return NULL;
}

/* Takes params. Two objects with one name would take each other's place at every run. */
static json_t *add(struct making *m, const char *kind, const char *name, json_t *params)
{
    size_t i;
    const json_t *other;
    json_array_foreach(m->objects, i, other)
    {
        if (is(other, "kind", kind) && is(other, "name", name))
            buf_printf(m->faults,
                       "two of the catalog would be the %s %s at Stripe: rename a plan or a "
                       "metric\n",
                       kind, name);
    }
    if (strcmp(kind, "price") == 0 && strlen(name) > LOOKUP_KEY_MAX)
        buf_printf(m->faults, "the lookup key %s has more than %d characters\n", name,
                   LOOKUP_KEY_MAX);
    json_t *object =
        json_pack("{s:s, s:s, s:o, s:[]}", "kind", kind, "name", name, "params", params, "needs");
    json_array_append_new(m->objects, object);
    return object;
}

static void need(json_t *object, const char *kind, const char *name)
{
    json_array_append_new(json_object_get(object, "needs"), json_pack("[s, s]", kind, name));
}

/* Products. */

static void add_product(struct making *m, const char *mark, const char *name, const char *title,
                        const char *unit)
{
    char *id = xasprintf("ml_%s", name);
    json_t *params = json_pack("{s:s, s:b, s:{s:s, s:s}}", "name", title, "active", 1, "metadata",
                               SETUP_MARK, mark, mark, name);
    if (unit)
        json_object_set_new(params, "unit_label", json_string(unit));
    json_t *product = add(m, "product", id, params);
    json_object_set_new(product, "extra", json_pack("{s:s}", "id", id));
    free(id);
}

/* Of usage that goes to Stripe. */
static bool is_sent(const json_t *metric)
{
    return metric && !is(metric, "transport", "none");
}

/* By usage records, which have no meter. */
static bool is_legacy(const json_t *metric)
{
    return is(metric, "transport", "usage_records");
}

static const char *label_of(const json_t *metric)
{
    const char *unit = text_of(metric, "unit");
    return strlen(unit) <= LABEL_MAX ? unit : NULL;
}

static void add_products(struct making *m)
{
    size_t i;
    const json_t *row;
    json_array_foreach(json_object_get(m->rows, "plans"), i, row)
    {
        add_product(m, "plan", text_of(row, "plan"), text_of(row, "display_name"), NULL);
    }
    json_array_foreach(json_object_get(m->rows, "metrics"), i, row)
    {
        if (is_sent(row))
            add_product(m, "metric", text_of(row, "metric"), text_of(row, "display_name"),
                        label_of(row));
    }
}

/* Meters. */

static void add_meters(struct making *m)
{
    size_t i;
    const json_t *row;
    json_array_foreach(json_object_get(m->rows, "metrics"), i, row)
    {
        bool newest = !is(row, "aggregation", "sum") && !is(row, "aggregation", "count");
        if (!is_sent(row) || is_legacy(row))
            continue;
        json_t *meter = add(m, "meter", text_of(row, "metric"),
                            json_pack("{s:s, s:s, s:{s:s}, s:{s:s, s:s}, s:{s:s}}", "display_name",
                                      text_of(row, "display_name"), "event_name",
                                      text_of(row, "stripe_event_name"), "default_aggregation",
                                      "formula", stripe_meter_formula(newest), "customer_mapping",
                                      "type", "by_id", "event_payload_key", "stripe_customer_id",
                                      "value_settings", "event_payload_key", "value"));
        json_object_set_new(meter, "newest", json_boolean(newest));
        if (strcmp(m->wish->version, METER_VERSION) < 0)
            json_object_set_new(meter, "version", json_string(METER_VERSION));
    }
}

/* Prices. */

static json_t *recurring(const char *interval, const char *usage_type)
{
    return json_pack("{s:s, s:i, s:s, s:n}", "interval", interval, "interval_count", 1,
                     "usage_type", usage_type, "meter");
}

/* Seats alone are a price for each; with a fee beside them, the fee is the tier's flat amount. */
static json_t *fee_params(json_int_t base, const json_t *seat)
{
    if (!json_is_integer(seat))
        return json_pack("{s:s, s:I}", "billing_scheme", "per_unit", "unit_amount", base);
    if (base == 0)
        return json_pack("{s:s, s:O}", "billing_scheme", "per_unit", "unit_amount", seat);
    return json_pack("{s:s, s:s, s:[{s:s, s:O, s:I}]}", "billing_scheme", "tiered", "tiers_mode",
                     "graduated", "tiers", "up_to", "inf", "unit_amount", seat, "flat_amount",
                     base);
}

static json_t *price_params(const json_t *plan, const char *mark, const char *product,
                            json_t *amounts)
{
    json_t *params = json_pack("{s:s+, s:s, s:b, s:{s:s, s:s}}", "product", "ml_", product,
                               "currency", text_of(plan, "currency"), "active", 1, "metadata",
                               SETUP_MARK, mark, "plan", text_of(plan, "plan"));
    json_object_update(params, amounts);
    json_decref(amounts);
    return params;
}

static void name_price(json_t *price, const json_t *plan, const char *what, bool yearly)
{
    char *title =
        xasprintf("%s%s%s", text_of(plan, "display_name"), what, yearly ? ", a year" : "");
    json_t *params = json_object_get(price, "params");
    json_object_set_new(params, "nickname", json_string(title));
    json_object_set_new(price, "plan", json_string(text_of(plan, "plan")));
    json_object_set_new(price, "yearly", json_boolean(yearly));
    json_object_set_new(
        price, "extra",
        json_pack("{s:s, s:b}", "lookup_key", text_of(price, "name"), "transfer_lookup_key", 1));
    free(title);
}

/* What the lookup keys of a plan's prices begin with. */
static const char *key_of(const json_t *plan)
{
    return is_null(plan, "stripe_lookup_key") ? text_of(plan, "plan")
                                              : text_of(plan, "stripe_lookup_key");
}

static void add_fee(struct making *m, const json_t *plan, bool yearly)
{
    const char *base = yearly ? "yearly_amount_minor" : "base_amount_minor";
    const json_t *seat =
        json_object_get(plan, yearly ? "yearly_seat_amount_minor" : "seat_amount_minor");
    if (yearly && is_null(plan, "yearly_amount_minor") && !json_is_integer(seat))
        return;
    char *key = xasprintf("%s%s", key_of(plan), yearly ? "_year" : "");
    char *product = xasprintf("ml_%s", text_of(plan, "plan"));
    json_t *params =
        price_params(plan, "fee", text_of(plan, "plan"),
                     fee_params(json_integer_value(json_object_get(plan, base)), seat));
    json_object_set_new(params, "recurring",
                        recurring(yearly ? "year" : text_of(plan, "billing_interval"), "licensed"));
    json_t *price = add(m, "price", key, params);
    name_price(price, plan, "", yearly);
    need(price, "product", product);
    free(product);
    free(key);
}

/* Does the limit count by what Stripe's price counts by? */
static bool is_by_period(const json_t *plan, const json_t *limit)
{
    return is(limit, "limit_window", "period") ||
           (is(limit, "limit_window", "month") && is(plan, "billing_interval", "month"));
}

/* What is included costs nothing, the rest the overage. NULL: up to there is no whole number. */
static json_t *usage_tiers(const json_t *limit)
{
    struct dec included;
    int64_t up_to = 0;
    bool is_sold = !is_null(limit, "overage_unit_price");
    const char *text = text_of(limit, "included");
    bool is_whole = dec_parse(text, strlen(text), &included) == 0 &&
                    dec_to_i64(included, &up_to) == 0 && up_to > 0;
    bool is_zero = *text && dec_is_zero(included);
    json_t *rest = json_pack("{s:s, s:s}", "up_to", "inf", "unit_amount_decimal",
                             is_sold ? text_of(limit, "overage_unit_price") : "0");
    if (is_whole && is_sold)
        return json_pack("[{s:I, s:s}, o]", "up_to", (json_int_t)up_to, "unit_amount_decimal", "0",
                         rest);
    if (!is_sold || is_zero)
        return json_pack("[o]", rest);
    json_decref(rest);
    return NULL;
}

/* Why Stripe cannot bill this limit as the catalog has it; NULL: it can. */
static const char *usage_fault(const json_t *plan, const json_t *limit, const json_t *metric,
                               const json_t *tiers)
{
    if (is_null(limit, "overage_unit_price"))
        return NULL;
    if (!is_sent(metric))
        return "its usage is not sent to Stripe (transport none), so this overage is never charged";
    if (!is_by_period(plan, limit))
        return "what is included counts by another window than Stripe's billing period";
    return tiers ? NULL : "what is included is no whole number, as Stripe's tiers are";
}

static void add_usage(struct making *m, const json_t *plan, const json_t *limit)
{
    const char *name = text_of(limit, "metric");
    const json_t *metric = metric_row(m, name);
    json_t *tiers = usage_tiers(limit);
    const char *fault = usage_fault(plan, limit, metric, tiers);
    bool is_unlimited = is_null(limit, "included");
    char *key = xasprintf("%s_%s", key_of(plan), name);
    char *product = xasprintf("ml_%s", name);
    char *what = xasprintf(": %s", text_of(metric, "display_name"));
    if (fault || (is_sent(metric) && (!is_unlimited || is_legacy(metric)))) {
        json_t *params =
            price_params(plan, "usage", name,
                         json_pack("{s:s, s:s, s:o?}", "billing_scheme", "tiered", "tiers_mode",
                                   "graduated", "tiers", json_incref(tiers)));
        json_object_set_new(params, "recurring",
                            recurring(text_of(plan, "billing_interval"), "metered"));
        json_object_set_new(json_object_get(params, "metadata"), "metric", json_string(name));
        json_t *price = add(m, "price", key, params);
        name_price(price, plan, what, false);
        json_object_set_new(price, "metric", json_string(name));
        if (fault)
            json_object_set_new(price, "warn", json_string(fault));
        if (!fault)
            need(price, "product", product);
        if (!fault && !is_legacy(metric))
            need(price, "meter", name);
        if (is_legacy(metric))
            json_object_set_new(price, "version", json_string(STRIPE_VERSION_LEGACY));
    }
    json_decref(tiers);
    free(what);
    free(product);
    free(key);
}

static void add_prices(struct making *m)
{
    size_t i;
    size_t k;
    const json_t *plan;
    const json_t *limit;
    json_array_foreach(json_object_get(m->rows, "plans"), i, plan)
    {
        size_t before = json_array_size(m->objects);
        if (json_is_true(json_object_get(plan, "custom")))
            continue;
        add_fee(m, plan, false);
        add_fee(m, plan, true);
        size_t fees = json_array_size(m->objects) - before;
        json_array_foreach(json_object_get(m->rows, "limits"), k, limit)
        {
            if (is(limit, "plan", text_of(plan, "plan")))
                add_usage(m, plan, limit);
        }
        if (json_array_size(m->objects) - before - fees + 1 > ITEMS_MAX)
            buf_printf(m->faults,
                       "plan %s: a subscription at Stripe has at most %d items, so at most %d of "
                       "its metrics can be billed\n",
                       text_of(plan, "plan"), ITEMS_MAX, ITEMS_MAX - 1);
    }
}

/* The rest. */

static void add_tax(struct making *m)
{
    const json_t *row = json_array_get(json_object_get(m->rows, "tax"), 0);
    if (row)
        add(m, "tax_rate", "tax",
            json_pack("{s:s, s:s, s:b, s:b, s:{s:s}}", "display_name", text_of(row, "display_name"),
                      "percentage", text_of(row, "percentage"), "inclusive",
                      json_is_true(json_object_get(row, "inclusive")), "active", 1, "metadata",
                      SETUP_MARK, "tax"));
}

/* Plans are changed by our API, which changes all items at once; the portal is for cards, invoices
 * and the end of a subscription. */
static void add_portal(struct making *m)
{
    json_t *params = json_pack(
        "{s:{s:{s:b}, s:{s:b}, s:{s:b, s:[s, s, s]}, s:{s:b, s:s}, s:{s:b, s:s, s:s}}, s:{s:s}}",
        "features", "invoice_history", "enabled", 1, "payment_method_update", "enabled", 1,
        "customer_update", "enabled", 1, "allowed_updates", "email", "address", "tax_id",
        "subscription_cancel", "enabled", 1, "mode", "at_period_end", "subscription_update",
        "enabled", 0, "default_allowed_updates", "", "products", "", "metadata", SETUP_MARK,
        "portal");
    if (m->wish->return_url)
        json_object_set_new(params, "default_return_url", json_string(m->wish->return_url));
    json_t *portal = add(m, "portal", "portal", params);
    /* Older versions want a profile, if only an empty one. */
    json_object_set_new(portal, "extra",
                        json_pack("{s:{s:s}}", "business_profile", "headline", ""));
}

static void add_endpoint(struct making *m)
{
    if (m->wish->webhook_url)
        add(m, "webhook_endpoint", m->wish->webhook_url,
            json_pack("{s:s, s:s, s:o, s:s, s:{s:s}}", "url", m->wish->webhook_url, "api_version",
                      m->wish->version, "enabled_events", webhook_types(m->wish->version),
                      "description", "meterline", "metadata", SETUP_MARK, "webhook"));
}

json_t *setup_catalog(const json_t *rows, const struct setup_wish *wish, struct buf *faults)
{
    struct making m = {rows, wish, faults, json_array()};
    size_t before = faults->length;
    add_products(&m);
    add_meters(&m);
    add_prices(&m);
    add_tax(&m);
    add_portal(&m);
    add_endpoint(&m);
    if (faults->length == before)
        return m.objects;
    json_decref(m.objects);
    return NULL;
}
