/* Payments, from whichever objects tell of one: its payment intent, the charges of it, the invoice
 * payment that books it (from 2025-03-31.basil), and refunds. What they have in common is the id of
 * the payment intent, or else of the charge: the group.
 *
 * A charge and an intent name their invoice only up to 2025-02-24.acacia. */
#include "common/stripe/objects/facts.h"

#include <string.h>

static int rank_of(const char *status, const char *const *statuses)
{
    for (int i = 0; status && statuses[i]; i++)
        if (strcmp(status, statuses[i]) == 0)
            return i;
    return 0;
}

static int check(const struct facts *f, const char *what, struct err *e)
{
    return stripe_is_id(f->id) ? 0 : err_set(e, ERR_INPUT, "%s has no id", what);
}

static void read_common(const json_t *object, struct facts *out)
{
    fact_text(out, "currency", object, "currency");
    fact_integer(out, "created_at", object, "created");
    out->parent = stripe_reference(object, "invoice");
    fact_set_text(out, "invoice", out->parent);
    fact_set_text(out, "status", out->status);
}

/* https://docs.stripe.com/api/charges/object */

static const char *const CHARGE_TYPES[] = {
    "charge.succeeded", "charge.failed",  "charge.pending", "charge.captured",
    "charge.refunded",  "charge.updated", "charge.expired", NULL};

static int read_charge(const json_t *object, struct facts *out, struct err *e)
{
    static const char *const STATUSES[] = {"pending", "failed", "succeeded", NULL};
    if (check(out, "the charge", e))
        return -1;
    read_common(object, out);
    out->group = stripe_reference(object, "payment_intent");
    /* Refunds of one second are told apart by what was refunded so far. */
    out->rank =
        2 * rank_of(out->status, STATUSES) + json_is_true(json_object_get(object, "refunded"));
    fact_integer(out, "amount_minor", object, "amount_captured");
    if (stripe_integer(object, "amount_captured", 0) == 0)
        fact_integer(out, "amount_minor", object, "amount");
    fact_integer(out, "refunded_minor", object, "amount_refunded");
    fact_text(out, "failure_code", object, "failure_code");
    return 0;
}

const struct object_kind CHARGE_KIND = {
    .name = "charge", .types = CHARGE_TYPES, .path = "v1/charges", .read = read_charge};

/* https://docs.stripe.com/api/payment_intents/object */

static const char *const INTENT_TYPES[] = {"payment_intent.created",
                                           "payment_intent.processing",
                                           "payment_intent.succeeded",
                                           "payment_intent.payment_failed",
                                           "payment_intent.requires_action",
                                           "payment_intent.canceled",
                                           NULL};

static int read_intent(const json_t *object, struct facts *out, struct err *e)
{
    static const char *const STATUSES[] = {"requires_payment_method",
                                           "requires_confirmation",
                                           "requires_action",
                                           "processing",
                                           "requires_capture",
                                           "canceled",
                                           "succeeded",
                                           NULL};
    const json_t *error = json_object_get(object, "last_payment_error");
    if (check(out, "the payment intent", e))
        return -1;
    read_common(object, out);
    out->rank = rank_of(out->status, STATUSES);
    fact_integer(out, "amount_minor", object, "amount");
    if (stripe_integer(object, "amount_received", 0) > 0)
        fact_integer(out, "amount_minor", object, "amount_received");
    fact_text(out, "failure_code", error, "code");
    fact_text(out, "failure_code", error, "decline_code");
    return 0;
}

const struct object_kind PAYMENT_INTENT_KIND = {.name = "payment_intent",
                                                .types = INTENT_TYPES,
                                                .path = "v1/payment_intents",
                                                .read = read_intent};

/* https://docs.stripe.com/api/invoice-payment/object */

static const char *const INVOICE_PAYMENT_TYPES[] = {"invoice_payment.paid", "invoice_payment.open",
                                                    "invoice_payment.canceled",
                                                    "invoice_payment.detached", NULL};

static int read_invoice_payment(const json_t *object, struct facts *out, struct err *e)
{
    static const char *const STATUSES[] = {"open", "canceled", "paid", NULL};
    const json_t *payment = json_object_get(object, "payment");
    if (check(out, "the invoice payment", e))
        return -1;
    read_common(object, out);
    out->group = stripe_reference(payment, "payment_intent");
    if (!out->group)
        out->group = stripe_reference(payment, "charge");
    out->rank = rank_of(out->status, STATUSES);
    fact_integer(out, "amount_minor", object, "amount_paid");
    fact_integer(out, "paid_at", json_object_get(object, "status_transitions"), "paid_at");
    return 0;
}

const struct object_kind INVOICE_PAYMENT_KIND = {.name = "invoice_payment",
                                                 .types = INVOICE_PAYMENT_TYPES,
                                                 .path = "v1/invoice_payments",
                                                 .read = read_invoice_payment};

/* https://docs.stripe.com/api/refunds/object */

static const char *const REFUND_TYPES[] = {"refund.created", "refund.updated", "refund.failed",
                                           "charge.refund.updated", NULL};

static int read_refund(const json_t *object, struct facts *out, struct err *e)
{
    static const char *const STATUSES[] = {"pending",  "requires_action", "succeeded",
                                           "canceled", "failed",          NULL};
    if (check(out, "the refund", e))
        return -1;
    read_common(object, out);
    out->group = stripe_reference(object, "payment_intent");
    if (!out->group)
        out->group = stripe_reference(object, "charge");
    out->rank = rank_of(out->status, STATUSES);
    fact_integer(out, "amount_minor", object, "amount");
    return 0;
}

const struct object_kind REFUND_KIND = {
    .name = "refund", .types = REFUND_TYPES, .path = "v1/refunds", .read = read_refund};
