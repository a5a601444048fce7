/* Subscriptions and prices.
 * https://docs.stripe.com/api/subscriptions/object: current_period_* stands on the subscription up
 * to 2025-02-24.acacia, on its items from 2025-03-31.basil.
 * https://docs.stripe.com/api/prices/object
 */
#include "common/stripe/objects/facts.h"

#include "common/str.h"

#include <stdlib.h>
#include <string.h>

static const char *const SUBSCRIPTION_TYPES[] = {"customer.subscription.created",
                                                 "customer.subscription.updated",
                                                 "customer.subscription.deleted",
                                                 "customer.subscription.paused",
                                                 "customer.subscription.resumed",
                                                 "customer.subscription.trial_will_end",
                                                 "customer.subscription.pending_update_applied",
                                                 "customer.subscription.pending_update_expired",
                                                 NULL};

static const json_t *items_of(const json_t *object)
{
    return json_object_get(json_object_get(object, "items"), "data");
}

/* `price`, or `plan` where an old API version has nothing else. */
static const json_t *price_of(const json_t *item)
{
    const json_t *price = json_object_get(item, "price");
    return json_is_object(price) ? price : json_object_get(item, "plan");
}

/* Where its cycle stands: in `recurring`, or in the price itself if it is a plan. */
static const json_t *cycle_of(const json_t *price)
{
    const json_t *recurring = json_object_get(price, "recurring");
    return json_is_object(recurring) ? recurring : price;
}

static bool is_interval(const char *text)
{
    return !strcmp(text, "day") || !strcmp(text, "week") || !strcmp(text, "month") ||
           !strcmp(text, "year");
}

/* Prices. */

json_t *price_facts(const json_t *price)
{
    const json_t *cycle = cycle_of(price);
    const json_t *product = json_object_get(price, "product");
    const json_t *transform = json_object_get(price, "transform_quantity");
    struct facts f = {.values = json_object(), .id = stripe_text(price, "id")};
    if (!stripe_is_id(f.id)) {
        json_decref(f.values);
        return NULL;
    }
    fact_set_text(&f, "id", f.id);
    fact_set_text(&f, "product", stripe_reference(price, "product"));
    fact_text(&f, "currency", price, "currency");
    /* A decimal as text, or a whole number. */
    fact_integer(&f, "unit_amount", price, "unit_amount");
    fact_integer(&f, "unit_amount", price, "amount");
    fact_text(&f, "unit_amount", price, "unit_amount_decimal");
    fact_text(&f, "unit_amount", price, "amount_decimal");
    fact_text(&f, "billing_scheme", price, "billing_scheme");
    fact_text(&f, "tiers_mode", price, "tiers_mode");
    if (json_is_array(json_object_get(price, "tiers")))
        json_object_set(f.values, "tiers", json_object_get(price, "tiers"));
    fact_text(&f, "billing_interval", cycle, "interval");
    fact_integer(&f, "interval_count", cycle, "interval_count");
    fact_text(&f, "usage_type", cycle, "usage_type");
    fact_text(&f, "meter", cycle, "meter");
    fact_integer(&f, "divide_by", transform, "divide_by");
    fact_text(&f, "divide_round", transform, "round");
    fact_text(&f, "lookup_key", price, "lookup_key");
    fact_text(&f, "metric", json_object_get(price, "metadata"), "metric");
    fact_text(&f, "plan_name", json_object_get(price, "metadata"), "plan");
    fact_text(&f, "product_plan_name", json_object_get(product, "metadata"), "plan");
    return f.values;
}

static const char *const PRICE_TYPES[] = {"price.created", "price.updated", "price.deleted", NULL};

static int read_price(const json_t *object, struct facts *out, struct err *e)
{
    json_t *facts = price_facts(object);
    if (!facts)
        return err_set(e, ERR_INPUT, "the price has no id");
    json_object_update(out->values, facts);
    out->prices = json_pack("[o]", facts);
    out->customer = out->tenant = NULL;
    return 0;
}

const struct object_kind PRICE_KIND = {
    .name = "price", .types = PRICE_TYPES, .path = "v1/prices", .read = read_price};

/* Discounts: ids, or objects where expanded. `discount` beside them is the expanded first one, up
 * to 2025-02-24.acacia. Its coupon stands in source.coupon from 2025-09-30.clover. */

static void add_discount(json_t *list, const json_t *discount)
{
    const json_t *source = json_object_get(discount, "source");
    const json_t *coupon = json_object_get(json_is_object(source) ? source : discount, "coupon");
    struct facts f = {.values = json_object()};
    fact_set_text(&f, "id",
                  json_is_string(discount) ? json_string_value(discount)
                                           : stripe_text(discount, "id"));
    fact_set_text(&f, "coupon",
                  json_is_string(coupon) ? json_string_value(coupon) : stripe_text(coupon, "id"));
    fact_text(&f, "duration", coupon, "duration");
    fact_text(&f, "currency", coupon, "currency");
    fact_integer(&f, "amount_off", coupon, "amount_off");
    json_t *percent = json_object_get(coupon, "percent_off");
    if (json_is_number(percent))
        json_object_set(f.values, "percent_off", percent);
    fact_integer(&f, "starts", discount, "start");
    fact_integer(&f, "ends", discount, "end");
    json_array_append_new(list, f.values);
}

static void read_discounts(const json_t *object, struct facts *out)
{
    size_t i;
    const json_t *discount;
    const json_t *expanded = json_object_get(object, "discount");
    const char *id = stripe_text(expanded, "id");
    json_t *list = json_array();
    json_array_foreach(json_object_get(object, "discounts"), i, discount)
    {
        bool same = id && json_is_string(discount) && !strcmp(id, json_string_value(discount));
        add_discount(list, same ? expanded : discount);
    }
    if (json_array_size(list) == 0 && json_is_object(expanded))
        add_discount(list, expanded);
    if (json_array_size(list) > 0)
        json_object_set(out->values, "discounts", list);
    json_decref(list);
}

/* Items. */

static void add_item(struct facts *out, json_t *items, const json_t *item)
{
    const char *id = stripe_text(item, "id");
    const json_t *price = price_of(item);
    const char *price_id =
        stripe_reference(item, json_object_get(item, "price") ? "price" : "plan");
    struct facts f = {.values = json_object()};
    if (!stripe_is_id(id) || !stripe_is_id(price_id)) {
        json_decref(f.values);
        return;
    }
    fact_set_text(&f, "id", id);
    fact_set_text(&f, "price", price_id);
    fact_text(&f, "metric", json_object_get(item, "metadata"), "metric");
    fact_integer(&f, "quantity", item, "quantity");
    fact_integer(&f, "start", item, "current_period_start");
    fact_integer(&f, "end", item, "current_period_end");
    read_discounts(item, &f);
    fact_tax_rates(&f, item, "tax_rates");
    json_array_append_new(items, f.values);
    json_t *facts = price_facts(price);
    if (facts)
        json_array_append_new(out->prices, facts);
}

static int compare_items(const void *a, const void *b)
{
    const json_t *const *left = a;
    const json_t *const *right = b;
    return strcmp(stripe_text(*left, "id"), stripe_text(*right, "id"));
}

/* Stripe promises no order of items, but a digest needs one. */
static json_t *sorted(json_t *items)
{
    size_t count = json_array_size(items);
    json_t **list = xcalloc(count + 1, sizeof *list);
    for (size_t i = 0; i < count; i++)
        list[i] = json_incref(json_array_get(items, i));
    qsort(list, count, sizeof *list, compare_items);
    json_array_clear(items);
    for (size_t i = 0; i < count; i++)
        json_array_append_new(items, list[i]);
    free(list);
    return items;
}

static void read_items(const json_t *object, struct facts *out)
{
    size_t i;
    const json_t *item;
    json_t *items = json_array();
    out->prices = json_array();
    json_array_foreach(items_of(object), i, item)
    {
        add_item(out, items, item);
    }
    json_object_set_new(out->values, "items", sorted(items));
    fact_true(out, "items_cut", json_object_get(object, "items"), "has_more");
}

/* The period. */

static int days_of(const json_t *item)
{
    const json_t *cycle = cycle_of(price_of(item));
    const char *interval = stripe_text(cycle, "interval");
    int64_t count = stripe_integer(cycle, "interval_count", 1);
    int days = !interval                       ? 30
               : strcmp(interval, "day") == 0  ? 1
               : strcmp(interval, "week") == 0 ? 7
               : strcmp(interval, "year") == 0 ? 365
                                               : 30;
    return count > 0 && count <= 1000 ? days * (int)count : days;
}

static bool is_metered(const json_t *item)
{
    const char *type = stripe_text(cycle_of(price_of(item)), "usage_type");
    return type && !strcmp(type, "metered");
}

static const char *text_of(const char *text)
{
    return text ? text : "";
}

/* Items may have different periods, such as a yearly fee beside monthly usage. A metered one
 * counts, and of several the one that is invoiced most often, because what it bills must be sent
 * before its next invoice. */
static bool leads(const json_t *item, const json_t *other)
{
    if (!other || is_metered(item) != is_metered(other))
        return !other || is_metered(item);
    int order = days_of(item) - days_of(other);
    return order ? order < 0
                 : strcmp(text_of(stripe_text(item, "id")), text_of(stripe_text(other, "id"))) < 0;
}

static const json_t *leading_item(const json_t *items)
{
    size_t i;
    const json_t *item;
    const json_t *leader = NULL;
    json_array_foreach(items, i, item)
    {
        if (leads(item, leader))
            leader = item;
    }
    return leader;
}

static int read_period(const json_t *object, struct facts *out, struct err *e)
{
    const json_t *item = leading_item(items_of(object));
    const json_t *cycle = cycle_of(price_of(item));
    const char *interval = stripe_text(cycle, "interval");
    int64_t count = stripe_integer(cycle, "interval_count", 1);
    out->starts_s = stripe_integer(item, "current_period_start", 0);
    out->ends_s = stripe_integer(item, "current_period_end", 0);
    if (out->starts_s <= 0 || out->ends_s <= 0) {
        out->starts_s = stripe_integer(object, "current_period_start", 0);
        out->ends_s = stripe_integer(object, "current_period_end", 0);
    }
    if (out->starts_s <= 0 || out->ends_s <= 0)
        return err_set(e, ERR_INPUT, "the subscription has no current period");
    if ((interval && !is_interval(interval)) || count < 1 || count > 1000)
        return err_set(e, ERR_INPUT, "the subscription's interval is not known");
    json_object_set_new(out->values, "current_period_start", json_integer(out->starts_s));
    json_object_set_new(out->values, "current_period_end", json_integer(out->ends_s));
    fact_set_text(out, "billing_interval", interval ? interval : "month");
    json_object_set_new(out->values, "interval_count", json_integer(count));
    return 0;
}

static void read_lifetime(const json_t *object, struct facts *out)
{
    const json_t *pause = json_object_get(object, "pause_collection");
    json_t *values = out->values;
    json_object_set_new(
        values, "started_at",
        json_integer(stripe_integer(object, "start_date",
                                    stripe_integer(object, "created", out->starts_s))));
    json_object_set_new(
        values, "billing_cycle_anchor",
        json_integer(stripe_integer(object, "billing_cycle_anchor", out->starts_s)));
    fact_integer(out, "ended_at", object, "ended_at");
    fact_true(out, "cancel_at_period_end", object, "cancel_at_period_end");
    fact_integer(out, "cancel_at", object, "cancel_at");
    fact_integer(out, "canceled_at", object, "canceled_at");
    fact_text(out, "cancel_reason", json_object_get(object, "cancellation_details"), "reason");
    fact_integer(out, "trial_start", object, "trial_start");
    fact_integer(out, "trial_end", object, "trial_end");
    fact_text(out, "collection_paused", pause, "behavior");
    fact_integer(out, "collection_resumes_at", pause, "resumes_at");
}

static int read_subscription(const json_t *object, struct facts *out, struct err *e)
{
    const json_t *latest = json_object_get(object, "latest_invoice");
    if (!stripe_is_id(out->id))
        return err_set(e, ERR_INPUT, "the subscription has no id");
    if (!stripe_is_id(out->customer))
        return err_set(e, ERR_INPUT, "the subscription has no customer");
    if (!out->status)
        return err_set(e, ERR_INPUT, "the subscription has no status");
    if (read_period(object, out, e))
        return -1;
    fact_set_text(out, "status", out->status);
    fact_text(out, "currency", object, "currency");
    fact_text(out, "collection_method", object, "collection_method");
    fact_text(out, "plan_name", json_object_get(object, "metadata"), "plan");
    fact_text(out, "billing_mode", json_object_get(object, "billing_mode"), "type");
    fact_set_text(out, "schedule", stripe_reference(object, "schedule"));
    fact_set_text(out, "latest_invoice", stripe_reference(object, "latest_invoice"));
    /* Expanded, as fetched: when its payment was first tried. */
    fact_integer(out, "latest_invoice_finalized_at", json_object_get(latest, "status_transitions"),
                 "finalized_at");
    read_lifetime(object, out);
    read_items(object, out);
    read_discounts(object, out);
    fact_tax_rates(out, object, "default_tax_rates");
    fact_true(out, "automatic_tax", json_object_get(object, "automatic_tax"), "enabled");
    out->final = !strcmp(out->status, "canceled") || !strcmp(out->status, "incomplete_expired");
    out->rank = out->final ? 2 : strcmp(out->status, "incomplete") != 0;
    return 0;
}

const struct object_kind SUBSCRIPTION_KIND = {.name = "subscription",
                                              .types = SUBSCRIPTION_TYPES,
                                              .path = "v1/subscriptions",
                                              .read = read_subscription};
