/* Customers, and the checkouts that link them to tenants.
 * https://docs.stripe.com/api/customers/object, …/checkout/sessions/object */
#include "common/stripe/objects/facts.h"

#include <string.h>

static const char *const CUSTOMER_TYPES[] = {"customer.created", "customer.updated",
                                             "customer.deleted", NULL};

static int read_customer(const json_t *object, struct facts *out, struct err *e)
{
    if (!stripe_is_id(out->id))
        return err_set(e, ERR_INPUT, "the customer has no id");
    out->customer = out->id;
    fact_text(out, "email", object, "email");
    fact_set_text(out, "tenant", out->tenant);
    fact_integer(out, "created_at", object, "created");
    fact_integer(out, "balance_minor", object, "balance");
    fact_true(out, "deleted", object, "deleted");
    /* Of a deleted customer GET returns only the id. */
    out->final = json_is_true(json_object_get(object, "deleted"));
    out->rank = out->final;
    return 0;
}

const struct object_kind CUSTOMER_KIND = {
    .name = "customer", .types = CUSTOMER_TYPES, .path = "v1/customers", .read = read_customer};

static const char *const CHECKOUT_TYPES[] = {
    "checkout.session.completed", "checkout.session.expired",
    "checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed", NULL};

static int read_checkout(const json_t *object, struct facts *out, struct err *e)
{
    static const char *const STATUSES[] = {"open", "expired", "complete", NULL};
    if (!stripe_is_id(out->id))
        return err_set(e, ERR_INPUT, "the checkout session has no id");
    const char *reference = stripe_text(object, "client_reference_id");
    if (!out->tenant && reference && *reference)
        out->tenant = reference;
    out->parent = stripe_reference(object, "subscription");
    fact_set_text(out, "stripe_subscription_id", out->parent);
    fact_set_text(out, "stripe_invoice_id", stripe_reference(object, "invoice"));
    fact_text(out, "status", object, "status");
    fact_text(out, "payment_status", object, "payment_status");
    fact_text(out, "mode", object, "mode");
    fact_set_text(out, "client_reference_id", reference);
    fact_text(out, "currency", object, "currency");
    fact_integer(out, "amount_total_minor", object, "amount_total");
    fact_integer(out, "created_at", object, "created");
    fact_integer(out, "expires_at", object, "expires_at");
    for (int i = 0; STATUSES[i] && out->status; i++)
        if (strcmp(out->status, STATUSES[i]) == 0)
            out->rank = 2 * i;
    /* A debit of a bank comes through later than the session. */
    const char *paid = stripe_text(object, "payment_status");
    out->rank += paid && strcmp(paid, "unpaid") != 0;
    return 0;
}

const struct object_kind CHECKOUT_KIND = {.name = "checkout",
                                          .types = CHECKOUT_TYPES,
                                          .path = "v1/checkout/sessions",
                                          .read = read_checkout};

/* What is told in the history and changes nothing else. */

static const char *const NOTE_TYPES[] = {"invoice.upcoming",
                                         "payment_method.attached",
                                         "payment_method.detached",
                                         "payment_method.updated",
                                         "payment_method.automatically_updated",
                                         "charge.dispute.created",
                                         "charge.dispute.updated",
                                         "charge.dispute.closed",
                                         "charge.dispute.funds_withdrawn",
                                         "charge.dispute.funds_reinstated",
                                         "billing.alert.triggered",
                                         "customer.discount.created",
                                         "customer.discount.updated",
                                         "customer.discount.deleted",
                                         NULL};

static int read_note(const json_t *object, struct facts *out, struct err *e)
{
    static const char *const TEXTS[] = {"status", "reason", "currency", "type"};
    static const char *const INTEGERS[] = {"amount", "amount_due", "value", "next_payment_attempt"};
    (void)e;
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        fact_text(out, TEXTS[i], object, TEXTS[i]);
    for (size_t i = 0; i < sizeof INTEGERS / sizeof *INTEGERS; i++)
        fact_integer(out, INTEGERS[i], object, INTEGERS[i]);
    if (stripe_is_id(out->id))
        fact_set_text(out, "id", out->id);
    const json_t *details =
        json_object_get(json_object_get(object, "parent"), "subscription_details");
    fact_set_text(out, "subscription", stripe_reference(object, "subscription"));
    fact_set_text(out, "subscription", stripe_reference(details, "subscription"));
    fact_set_text(out, "charge", stripe_reference(object, "charge"));
    /* A dispute names no customer: it is theirs who made the payment. */
    out->group = stripe_reference(object, "payment_intent");
    if (!out->group)
        out->group = stripe_reference(object, "charge");
    out->parent = NULL;
    return 0;
}

const struct object_kind NOTE_KIND = {
    .name = "note", .types = NOTE_TYPES, .read = read_note, .is_note = true};
