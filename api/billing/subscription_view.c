#include "api/billing/subscription_view.h"

#include "api/billing/plan_change.h"
#include "common/clock.h"
#include "common/stripe/objects/stripe_event.h"

#include <stdio.h>
#include <string.h>

static void set_text(json_t *out, const char *name, const char *text)
{
    json_object_set_new(out, name, text ? json_string(text) : json_null());
}

/* RFC 3339, without a fraction. */
void view_set_time(json_t *out, const char *name, int64_t unix_s)
{
    char text[CLOCK_TEXT_SIZE];
    if (unix_s <= 0) {
        json_object_set_new(out, name, json_null());
        return;
    }
    clock_format_iso(unix_s * 1000, text);
    (void)snprintf(text + strlen("2026-11-30T01:02:03"), 2, "Z");
    set_text(out, name, text);
}

static void set_member_time(json_t *out, const char *name, const json_t *object)
{
    view_set_time(out, name, stripe_integer(object, name, 0));
}

static json_t *view_item(const json_t *item)
{
    const json_t *price = json_object_get(item, "price");
    const json_t *quantity = json_object_get(item, "quantity");
    json_t *out = json_object();
    set_text(out, "id", stripe_text(item, "id"));
    set_text(out, "price", stripe_text(price, "id"));
    set_text(out, "metric", stripe_text(json_object_get(price, "metadata"), "metric"));
    json_object_set_new(out, "quantity",
                        json_is_integer(quantity) ? json_integer(json_integer_value(quantity))
                                                  : json_null());
    return out;
}

static json_t *view_items(const json_t *subscription)
{
    size_t i;
    const json_t *item;
    json_t *out = json_array();
    json_array_foreach(json_object_get(json_object_get(subscription, "items"), "data"), i, item)
    {
        json_array_append_new(out, view_item(item));
    }
    return out;
}

static const char *plan_of(const json_t *subscription, const json_t *fee, const json_t *known)
{
    const char *plan = fee ? plan_change_plan_of(json_object_get(fee, "price"), known) : NULL;
    return plan ? plan : stripe_text(json_object_get(subscription, "metadata"), "plan");
}

static void set_fee(json_t *out, const json_t *subscription, const json_t *known)
{
    const json_t *fee = plan_change_fee_item(subscription, known);
    const json_t *recurring = json_object_get(json_object_get(fee, "price"), "recurring");
    set_text(out, "plan", plan_of(subscription, fee, known));
    set_text(out, "interval", stripe_text(recurring, "interval"));
    json_object_set_new(out, "seats",
                        fee ? json_integer(stripe_integer(fee, "quantity", 1)) : json_null());
}

json_t *subscription_view(const char *tenant, const json_t *subscription, const json_t *known)
{
    const json_t *pause = json_object_get(subscription, "pause_collection");
    const json_t *fee = plan_change_fee_item(subscription, known);
    json_t *out = json_object();
    set_text(out, "id", stripe_text(subscription, "id"));
    set_text(out, "tenant", tenant);
    set_text(out, "customer", stripe_reference(subscription, "customer"));
    set_fee(out, subscription, known);
    set_text(out, "status", stripe_text(subscription, "status"));
    set_text(out, "currency", stripe_text(subscription, "currency"));
    view_set_time(out, "current_period_start",
                  stripe_integer(fee, "current_period_start",
                                 stripe_integer(subscription, "current_period_start", 0)));
    view_set_time(out, "current_period_end", plan_change_period_end(subscription, known));
    set_member_time(out, "trial_end", subscription);
    view_set_time(out, "started_at", stripe_integer(subscription, "start_date", 0));
    json_object_set_new(
        out, "cancel_at_period_end",
        json_boolean(json_is_true(json_object_get(subscription, "cancel_at_period_end"))));
    set_member_time(out, "cancel_at", subscription);
    set_member_time(out, "canceled_at", subscription);
    set_member_time(out, "ended_at", subscription);
    set_text(out, "collection_paused", stripe_text(pause, "behavior"));
    set_text(out, "billing_mode",
             stripe_text(json_object_get(subscription, "billing_mode"), "type"));
    set_text(out, "schedule", stripe_reference(subscription, "schedule"));
    json_object_set_new(out, "items", view_items(subscription));
    set_text(out, "latest_invoice", stripe_reference(subscription, "latest_invoice"));
    return out;
}

json_t *subscription_summary(const json_t *subscription, const json_t *known)
{
    json_t *out = json_object();
    set_fee(out, subscription, known);
    set_text(out, "status", stripe_text(subscription, "status"));
    set_member_time(out, "cancel_at", subscription);
    return out;
}

json_t *customer_view(const char *tenant, const json_t *customer)
{
    json_t *out = json_object();
    set_text(out, "id", stripe_text(customer, "id"));
    set_text(out, "tenant", tenant);
    set_text(out, "email", stripe_text(customer, "email"));
    view_set_time(out, "created_at", stripe_integer(customer, "created", 0));
    json_object_set_new(out, "contested", json_false());
    set_text(out, "status", "active");
    return out;
}

static const struct api_field ITEM_FIELDS[] = {
    {.name = "id", .type = API_TEXT, .what = "the item at Stripe"},
    {.name = "price", .type = API_TEXT, .what = "the price at Stripe"},
    {.name = "metric", .type = API_TEXT, .nullable = true, .what = "that it bills; null: a fee"},
    {.name = "quantity", .type = API_WHOLE, .nullable = true, .what = "null where usage is billed"},
    API_FIELDS_END};
static const struct api_field ITEMS_OF[] = {
    {.name = "", .type = API_OBJECT, .fields = ITEM_FIELDS, .what = "an item"}, API_FIELDS_END};

const struct api_field SUBSCRIPTION_FIELDS[] = {
    {.name = "id", .type = API_TEXT, .what = "the subscription at Stripe"},
    {.name = "tenant", .type = API_TEXT, .what = "whose it is"},
    {.name = "customer", .type = API_TEXT, .what = "the customer at Stripe"},
    {.name = "plan", .type = API_NAME, .nullable = true, .what = "of the catalog"},
    {.name = "status",
     .type = API_TEXT,
     .what = "Stripe's: active, trialing, past_due, unpaid, paused, canceled, incomplete, …"},
    {.name = "currency", .type = API_TEXT, .nullable = true, .what = "such as usd"},
    {.name = "interval", .type = API_TEXT, .nullable = true, .what = "of the fee: month, year, …"},
    {.name = "seats", .type = API_WHOLE, .nullable = true, .what = "quantity of the fee"},
    {.name = "current_period_start", .type = API_TIME, .nullable = true, .what = "of the fee"},
    {.name = "current_period_end", .type = API_TIME, .nullable = true, .what = "of the fee"},
    {.name = "trial_end", .type = API_TIME, .nullable = true, .what = "end of the trial"},
    {.name = "started_at", .type = API_TIME, .nullable = true, .what = "when it began"},
    {.name = "cancel_at_period_end", .type = API_BOOL, .what = "it ends with its period"},
    {.name = "cancel_at", .type = API_TIME, .nullable = true, .what = "when it will end"},
    {.name = "canceled_at", .type = API_TIME, .nullable = true, .what = "when that was asked for"},
    {.name = "ended_at", .type = API_TIME, .nullable = true, .what = "when it ended"},
    {.name = "collection_paused",
     .type = API_TEXT,
     .nullable = true,
     .what = "what becomes of invoices while payments are not collected"},
    {.name = "billing_mode", .type = API_TEXT, .nullable = true, .what = "classic or flexible"},
    {.name = "schedule",
     .type = API_TEXT,
     .nullable = true,
     .what = "the schedule at Stripe by which it changes at the period's end"},
    {.name = "items", .type = API_LIST, .fields = ITEMS_OF, .what = "what is billed"},
    {.name = "latest_invoice", .type = API_TEXT, .nullable = true, .what = "at Stripe"},
    {.name = "pending",
     .type = API_BOOL,
     .what = "true: this is Stripe's answer, and is not stored here yet"},
    {.name = "change",
     .type = API_CHOICE,
     .optional = true,
     .choices = (const char *const[]){"now", "period_end", "none", NULL},
     .what = "of a change: when it takes effect"},
    {.name = "last_invoice",
     .type = API_OBJECT,
     .optional = true,
     .nullable = true,
     .what = "of one that was canceled now: the invoice of what was used"},
    API_FIELDS_END};

const struct api_field CUSTOMER_FIELDS[] = {
    {.name = "id", .type = API_TEXT, .what = "the customer at Stripe"},
    {.name = "tenant", .type = API_TEXT, .what = "whose it is"},
    {.name = "email", .type = API_TEXT, .nullable = true, .what = "where invoices go"},
    {.name = "created_at", .type = API_TIME, .nullable = true, .what = "at Stripe"},
    {.name = "contested",
     .type = API_BOOL,
     .what = "two customers have a subscription of this tenant: nothing is billed until a person "
             "decides (meterctl customers move)"},
    {.name = "status",
     .type = API_CHOICE,
     .choices = (const char *const[]){"active", "grace", "blocked", NULL},
     .what = "what the tenant may do"},
    {.name = "pending",
     .type = API_BOOL,
     .what = "true: this is Stripe's answer, and is not stored here yet"},
    API_FIELDS_END};
