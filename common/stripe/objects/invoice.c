/* Invoices. https://docs.stripe.com/api/invoices/object: the subscription stands in
 * parent.subscription_details from 2025-03-31.basil, beside subscription_details before. */
#include "common/stripe/objects/facts.h"

#include <string.h>

static const char *const TYPES[] = {"invoice.created",
                                    "invoice.updated",
                                    "invoice.finalized",
                                    "invoice.finalization_failed",
                                    "invoice.paid",
                                    "invoice.payment_succeeded",
                                    "invoice.payment_failed",
                                    "invoice.payment_action_required",
                                    "invoice.payment_attempt_required",
                                    "invoice.voided",
                                    "invoice.marked_uncollectible",
                                    "invoice.sent",
                                    "invoice.overdue",
                                    "invoice.overpaid",
                                    "invoice.will_be_due",
                                    "invoice.deleted",
                                    NULL};

static const json_t *details_of(const json_t *invoice)
{
    const json_t *details =
        json_object_get(json_object_get(invoice, "parent"), "subscription_details");
    return json_is_object(details) ? details : json_object_get(invoice, "subscription_details");
}

/* total_taxes from 2025-03-31.basil, `tax` before. */
static void read_tax(const json_t *object, struct facts *out)
{
    size_t i;
    const json_t *tax;
    int64_t sum = 0;
    const json_t *taxes = json_object_get(object, "total_taxes");
    json_array_foreach(taxes, i, tax) sum += stripe_integer(tax, "amount", 0);
    if (json_array_size(taxes) > 0)
        json_object_set_new(out->values, "tax_minor", json_integer(sum));
    else
        fact_integer(out, "tax_minor", object, "tax");
}

static int rank_of(const char *status)
{
    static const char *const STATUSES[] = {"draft", "open", "uncollectible", "paid", "void"};
    for (int i = 0; i < (int)(sizeof STATUSES / sizeof *STATUSES); i++)
        if (strcmp(status, STATUSES[i]) == 0)
            return i;
    return 0;
}

static int read_invoice(const json_t *object, struct facts *out, struct err *e)
{
    const json_t *transitions = json_object_get(object, "status_transitions");
    const json_t *details = details_of(object);
    if (!stripe_is_id(out->id))
        return err_set(e, ERR_INPUT, "the invoice has no id");
    if (!stripe_is_id(out->customer))
        return err_set(e, ERR_INPUT, "the invoice has no customer");
    if (!out->status || !stripe_text(object, "currency"))
        return err_set(e, ERR_INPUT, "the invoice has no status or no currency");
    if (!out->tenant)
        out->tenant = metadata_tenant(details);
    out->parent = stripe_reference(details, "subscription");
    if (!out->parent)
        out->parent = stripe_reference(object, "subscription");
    out->rank = rank_of(out->status);
    fact_set_text(out, "stripe_subscription_id", out->parent);
    fact_text(out, "status", object, "status");
    fact_text(out, "number", object, "number");
    fact_text(out, "currency", object, "currency");
    fact_text(out, "billing_reason", object, "billing_reason");
    fact_text(out, "collection_method", object, "collection_method");
    fact_integer(out, "amount_due_minor", object, "amount_due");
    fact_integer(out, "amount_paid_minor", object, "amount_paid");
    fact_integer(out, "amount_remaining_minor", object, "amount_remaining");
    fact_integer(out, "subtotal_minor", object, "subtotal");
    fact_integer(out, "total_minor", object, "total");
    read_tax(object, out);
    fact_integer(out, "attempt_count", object, "attempt_count");
    fact_integer(out, "next_payment_attempt", object, "next_payment_attempt");
    fact_integer(out, "due_at", object, "due_date");
    fact_integer(out, "created_at", object, "created");
    fact_integer(out, "period_start", object, "period_start");
    fact_integer(out, "period_end", object, "period_end");
    fact_integer(out, "finalized_at", transitions, "finalized_at");
    fact_integer(out, "paid_at", transitions, "paid_at");
    fact_text(out, "finalization_error", json_object_get(object, "last_finalization_error"),
              "code");
    return 0;
}

const struct object_kind INVOICE_KIND = {
    .name = "invoice", .types = TYPES, .path = "v1/invoices", .read = read_invoice};
