/* What a later invoice will have: invoice items, such as prorations, and schedules of
 * subscriptions. https://docs.stripe.com/api/invoiceitems/object: subscription and price stand in
 * `parent` and `pricing` from 2025-03-31.basil.
 * https://docs.stripe.com/api/subscription_schedules/object */
#include "common/stripe/objects/facts.h"

#include <string.h>

static const char *const ITEM_TYPES[] = {"invoiceitem.created", "invoiceitem.updated",
                                         "invoiceitem.deleted", NULL};

static const json_t *details_of(const json_t *item)
{
    const json_t *details =
        json_object_get(json_object_get(item, "parent"), "subscription_details");
    return json_is_object(details) ? details : item;
}

static const char *price_of(const json_t *item)
{
    const char *price = stripe_reference(
        json_object_get(json_object_get(item, "pricing"), "price_details"), "price");
    return price ? price : stripe_reference(item, "price");
}

static int read_item(const json_t *object, struct facts *out, struct err *e)
{
    const json_t *period = json_object_get(object, "period");
    const json_t *details = details_of(object);
    if (!stripe_is_id(out->id))
        return err_set(e, ERR_INPUT, "the invoice item has no id");
    if (!stripe_is_id(out->customer))
        return err_set(e, ERR_INPUT, "the invoice item has no customer");
    if (!stripe_text(object, "currency") || !json_is_integer(json_object_get(object, "amount")))
        return err_set(e, ERR_INPUT, "the invoice item has no amount or no currency");
    fact_set_text(out, "subscription", stripe_reference(details, "subscription"));
    fact_set_text(out, "subscription_item", stripe_reference(details, "subscription_item"));
    fact_set_text(out, "invoice", stripe_reference(object, "invoice"));
    fact_set_text(out, "price", price_of(object));
    fact_text(out, "description", object, "description");
    fact_text(out, "currency", object, "currency");
    fact_integer(out, "amount_minor", object, "amount");
    fact_integer(out, "quantity", object, "quantity");
    fact_true(out, "is_proration", object, "proration");
    fact_true(out, "is_discountable", object, "discountable");
    fact_integer(out, "start", period, "start");
    fact_integer(out, "end", period, "end");
    fact_integer(out, "item_at", object, "date");
    fact_tax_rates(out, object, "tax_rates");
    /* It is taken by an invoice, and never comes back from one. */
    out->rank = stripe_reference(object, "invoice") != NULL;
    return 0;
}

const struct object_kind INVOICE_ITEM_KIND = {
    .name = "invoice_item", .types = ITEM_TYPES, .path = "v1/invoiceitems", .read = read_item};

static const char *const SCHEDULE_TYPES[] = {
    "subscription_schedule.created",  "subscription_schedule.updated",
    "subscription_schedule.canceled", "subscription_schedule.released",
    "subscription_schedule.aborted",  "subscription_schedule.completed",
    "subscription_schedule.expiring", NULL};

static json_t *phase_facts(const json_t *phase)
{
    size_t i;
    const json_t *item;
    struct facts f = {.values = json_object()};
    json_t *items = json_array();
    fact_integer(&f, "start", phase, "start_date");
    fact_integer(&f, "end", phase, "end_date");
    json_array_foreach(json_object_get(phase, "items"), i, item)
    {
        struct facts of_it = {.values = json_object()};
        fact_set_text(&of_it, "price", stripe_reference(item, "price"));
        fact_integer(&of_it, "quantity", item, "quantity");
        json_array_append_new(items, of_it.values);
    }
    json_object_set_new(f.values, "items", items);
    return f.values;
}

static int read_schedule(const json_t *object, struct facts *out, struct err *e)
{
    static const char *const ENDED[] = {"canceled", "released", "completed", NULL};
    size_t i;
    const json_t *phase;
    json_t *phases = json_array();
    if (!stripe_is_id(out->id) || !stripe_is_id(out->customer) || !out->status) {
        json_decref(phases);
        return err_set(e, ERR_INPUT, "the schedule has no id, no customer or no status");
    }
    json_array_foreach(json_object_get(object, "phases"), i, phase)
    {
        json_array_append_new(phases, phase_facts(phase));
    }
    json_object_set_new(out->values, "phases", phases);
    fact_set_text(out, "subscription", stripe_reference(object, "subscription"));
    fact_set_text(out, "status", out->status);
    for (i = 0; ENDED[i]; i++)
        out->rank |= strcmp(out->status, ENDED[i]) == 0;
    return 0;
}

const struct object_kind SCHEDULE_KIND = {.name = "schedule",
                                          .types = SCHEDULE_TYPES,
                                          .path = "v1/subscription_schedules",
                                          .read = read_schedule};
