#include "webhookd/work/stripe_objects.h"

#include "common/contract.h"
#include "common/str.h"
#include "common/stripe/identifier.h"
#include "webhookd/receive/stripe_event.h"

#include <stdlib.h>
#include <string.h>

/* Customers and tenants. */

const char *metadata_tenant(const json_t *object)
{
    const char *tenant = stripe_text(json_object_get(object, "metadata"), "tenant");
    return tenant && *tenant ? tenant : NULL;
}

bool tenant_is_valid(const char *tenant)
{
    size_t length = strlen(tenant);
    return length > 0 && length <= TENANT_MAX_BYTES && !str_has_control(tenant, length);
}

int customer_object_parse(const json_t *object, struct customer_object *out)
{
    out->id = stripe_text(object, "id");
    out->tenant = metadata_tenant(object);
    out->email = stripe_text(object, "email");
    out->deleted = json_is_true(json_object_get(object, "deleted"));
    return stripe_is_id(out->id) ? 0 : -1;
}

/* Subscriptions. */

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

static bool is_metered(const json_t *item)
{
    const json_t *price = price_of(item);
    const json_t *recurring = json_object_get(price, "recurring");
    const char *type = stripe_text(recurring ? recurring : price, "usage_type");
    return type && !strcmp(type, "metered");
}

/* Items may have different periods, such as a yearly fee beside monthly usage. The metered one
 * counts. */
static const json_t *leading_item(const json_t *items)
{
    size_t i;
    const json_t *item;
    json_array_foreach(items, i, item)
    {
        if (is_metered(item))
            return item;
    }
    return json_array_get(items, 0);
}

static void read_period(const json_t *object, struct subscription_object *out)
{
    const json_t *item = leading_item(items_of(object));
    out->period_start_s = stripe_integer(item, "current_period_start", 0);
    out->period_end_s = stripe_integer(item, "current_period_end", 0);
    if (out->period_start_s == 0 || out->period_end_s == 0) {
        out->period_start_s = stripe_integer(object, "current_period_start", 0);
        out->period_end_s = stripe_integer(object, "current_period_end", 0);
    }
    const json_t *price = price_of(item);
    const json_t *recurring = json_object_get(price, "recurring");
    const json_t *cycle = json_is_object(recurring) ? recurring : price;
    out->interval = stripe_text(cycle, "interval");
    out->interval_count = stripe_integer(cycle, "interval_count", 1);
    if (!out->interval)
        out->interval = "month";
}

static void add_text(json_t *array, const char *text)
{
    if (text && *text)
        json_array_append_new(array, json_string(text));
}

/* The metric that an item bills, if the item or its price names one. */
static const char *metric_of(const json_t *item)
{
    const char *own = stripe_text(json_object_get(item, "metadata"), "metric");
    return own ? own : stripe_text(json_object_get(price_of(item), "metadata"), "metric");
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static void add_item(json_t *items, const json_t *item)
{
    const json_t *quantity = json_object_get(item, "quantity");
    json_t *kept = json_object();
    json_object_set_new(kept, "id", text_or_null(stripe_text(item, "id")));
    json_object_set_new(kept, "price", text_or_null(stripe_reference(item, "price")));
    json_object_set_new(kept, "lookup_key",
                        text_or_null(stripe_text(price_of(item), "lookup_key")));
    json_object_set_new(kept, "metric", text_or_null(metric_of(item)));
    json_object_set_new(kept, "quantity",
                        json_is_integer(quantity) ? json_integer(json_integer_value(quantity))
                                                  : json_null());
    if (stripe_is_id(stripe_text(item, "id")) && stripe_reference(item, "price"))
        json_array_append(items, kept);
    json_decref(kept);
}

static int compare_items(const void *a, const void *b)
{
    const json_t *const *left = a;
    const json_t *const *right = b;
    return strcmp(stripe_text(*left, "id"), stripe_text(*right, "id"));
}

/* Stripe promises no order of items, but the fingerprint needs one. */
static void sort_items(json_t *items)
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
}

/* Names that may be the plan, the most trusted first: a lookup key of a price, metadata.plan of the
 * subscription, and then that of its prices and their products. */
static void read_items(const json_t *object, struct subscription_object *out)
{
    size_t i;
    const json_t *item;
    out->items = json_array();
    out->lookup_keys = json_array();
    out->plans = json_array();
    add_text(out->plans, stripe_text(json_object_get(object, "metadata"), "plan"));
    json_array_foreach(items_of(object), i, item)
    {
        const json_t *price = price_of(item);
        add_item(out->items, item);
        add_text(out->lookup_keys, stripe_text(price, "lookup_key"));
        add_text(out->plans, stripe_text(json_object_get(price, "metadata"), "plan"));
        const json_t *product = json_object_get(price, "product");
        add_text(out->plans, stripe_text(json_object_get(product, "metadata"), "plan"));
        add_text(out->plans, stripe_reference(price, "product"));
    }
    sort_items(out->items);
}

static char *make_fingerprint(const struct subscription_object *s)
{
    struct buf text = {0};
    buf_printf(&text, "%s|%s|%lld|%lld|%lld|%d", s->customer_id, s->status,
               (long long)s->period_start_s, (long long)s->period_end_s, (long long)s->ended_s,
               s->cancel_at_period_end);
    size_t i;
    const json_t *item;
    json_array_foreach(s->items, i, item)
    {
        buf_printf(&text, "|%s=%s", stripe_text(item, "id"), stripe_text(item, "price"));
        if (json_is_integer(json_object_get(item, "quantity")))
            buf_printf(&text, "*%lld", (long long)stripe_integer(item, "quantity", 0));
    }
    return buf_take(&text);
}

static void read_fields(const json_t *object, struct subscription_object *out)
{
    out->id = stripe_text(object, "id");
    out->customer_id = stripe_reference(object, "customer");
    out->tenant = metadata_tenant(object);
    out->status = stripe_text(object, "status");
    out->currency = stripe_text(object, "currency");
    out->cancel_at_period_end = json_is_true(json_object_get(object, "cancel_at_period_end"));
    out->ended_s = stripe_integer(object, "ended_at", 0);
    read_period(object, out);
    out->started_s = stripe_integer(object, "start_date", out->period_start_s);
    out->anchor_s = stripe_integer(object, "billing_cycle_anchor", out->period_start_s);
}

static bool is_interval(const char *text)
{
    return !strcmp(text, "day") || !strcmp(text, "week") || !strcmp(text, "month") ||
           !strcmp(text, "year");
}

static int check(const struct subscription_object *s, struct err *e)
{
    if (!stripe_is_id(s->id))
        return err_set(e, ERR_INPUT, "the subscription has no id");
    if (!stripe_is_id(s->customer_id))
        return err_set(e, ERR_INPUT, "the subscription has no customer");
    if (!s->status)
        return err_set(e, ERR_INPUT, "the subscription has no status");
    if (s->period_start_s <= 0 || s->period_end_s <= 0)
        return err_set(e, ERR_INPUT, "the subscription has no current period");
    if (!is_interval(s->interval) || s->interval_count < 1 || s->interval_count > 1000)
        return err_set(e, ERR_INPUT, "the subscription's interval is not known");
    return 0;
}

int subscription_object_parse(const json_t *object, struct subscription_object *out, struct err *e)
{
    memset(out, 0, sizeof *out);
    read_fields(object, out);
    if (check(out, e))
        return -1;
    read_items(object, out);
    out->fingerprint = make_fingerprint(out);
    return 0;
}

void subscription_object_done(struct subscription_object *s)
{
    json_decref(s->items);
    json_decref(s->lookup_keys);
    json_decref(s->plans);
    free(s->fingerprint);
    memset(s, 0, sizeof *s);
}

/* Reports on meter events. */

/* Older samples have only the Idempotency-Key, which for a single event contains its identifier.
 * length: of the identifier in what is returned. */
static const char *identifier_of(const json_t *sample, size_t *length)
{
    const json_t *request = json_object_get(sample, "request");
    const char *identifier = stripe_text(request, "identifier");
    const char *key = stripe_text(request, "idempotency_key");
    if (identifier)
        *length = strlen(identifier);
    else if (key)
        *length = identifier_length_in_key(key);
    return identifier ? identifier : key;
}

static void add_sample(json_t *named, const char *code, const json_t *sample)
{
    size_t length;
    const char *identifier = identifier_of(sample, &length);
    const char *message = stripe_text(sample, "error_message");
    if (!identifier)
        return;
    char *error =
        xasprintf("refused later: %s: %s", code ? code : "unknown", message ? message : "");
    json_array_append_new(
        named, json_pack("{s:s%, s:s}", "identifier", identifier, length, "error", error));
    free(error);
}

static json_t *named_in(const json_t *types)
{
    json_t *named = json_array();
    for (size_t i = 0; i < json_array_size(types); i++) {
        const json_t *type = json_array_get(types, i);
        const json_t *samples = json_object_get(type, "sample_errors");
        for (size_t k = 0; k < json_array_size(samples); k++)
            add_sample(named, stripe_text(type, "code"), json_array_get(samples, k));
    }
    return named;
}

int meter_report_parse(const json_t *event, struct meter_report *out)
{
    const json_t *data = json_object_get(event, "data");
    const json_t *reason = json_object_get(data, "reason");
    if (!json_is_object(reason))
        return -1;
    meter_report_done(out);
    out->named = named_in(json_object_get(reason, "error_types"));
    out->error_count = stripe_integer(reason, "error_count", 0);
    out->start_s = stripe_time_s(data, "validation_start");
    out->end_s = stripe_time_s(data, "validation_end");
    return 0;
}

void meter_report_done(struct meter_report *report)
{
    json_decref(report->named);
    memset(report, 0, sizeof *report);
}
