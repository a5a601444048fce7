/* invoice.*: which periods are invoiced, and whether the invoice can still change.
 *
 * The sink asks: usage of a period whose invoice is final cannot be billed by it any more. Later
 * events only move an invoice on; the order is in the statement, since nothing else depends on it.
 */
#include "webhookd/work/job.h"

#include "webhookd/sql.h"

#include <string.h>

static const char *const ENDS[] = {"created",
                                   "updated",
                                   "finalized",
                                   "finalization_failed",
                                   "paid",
                                   "payment_succeeded",
                                   "payment_failed",
                                   "voided",
                                   "marked_uncollectible",
                                   "overdue",
                                   NULL};

/* parent.subscription_details from 2025-03-31.basil on, subscription_details before. */
static const json_t *details_of(const json_t *invoice)
{
    const json_t *details =
        json_object_get(json_object_get(invoice, "parent"), "subscription_details");
    return json_is_object(details) ? details : json_object_get(invoice, "subscription_details");
}

static const char *subscription_of(const json_t *invoice)
{
    const char *id = stripe_reference(details_of(invoice), "subscription");
    return id ? id : stripe_reference(invoice, "subscription");
}

static const char *tenant_of(const struct job *j)
{
    const json_t *invoice = job_object(j);
    const char *tenant = metadata_tenant(invoice);
    if (!tenant)
        tenant = metadata_tenant(details_of(invoice));
    return tenant ? tenant : metadata_tenant(j->fetched_customer);
}

static int invoice_read(struct job *j)
{
    const json_t *invoice = job_object(j);
    const char *customer = stripe_reference(invoice, "customer");
    if (!stripe_is_id(customer))
        return job_say(j, "the invoice has no customer");
    if (!stripe_text(invoice, "status") || !stripe_text(invoice, "currency"))
        return job_say(j, "the invoice has no status or no currency");
    job_set(&j->customer_id, customer);
    job_set(&j->tenant, tenant_of(j));
    return 0;
}

static enum verdict invoice_judge(struct job *j)
{
    /* Who pays it decides, whatever else it says. */
    if (j->stored.known)
        job_set(&j->tenant, j->stored.tenant);
    if (!j->tenant) {
        job_say(j, "no tenant: neither the invoice nor its customer has metadata.tenant");
        return j->fetched_customer ? VERDICT_IGNORE : VERDICT_CUSTOMER;
    }
    if (tenant_is_valid(j->tenant))
        return VERDICT_APPLY;
    job_say(j, "metadata.tenant is longer than 128 bytes or not plain text");
    return VERDICT_IGNORE;
}

static void add_invoice(struct job *j, struct script *s)
{
    const json_t *invoice = job_object(j);
    const json_t *transitions = json_object_get(invoice, "status_transitions");
    script_add(s, SQL_WRITE_INVOICE);
    script_text(s, j->event.object_id);
    script_text(s, j->tenant);
    script_text(s, j->customer_id);
    script_text(s, subscription_of(invoice));
    script_text(s, stripe_text(invoice, "status"));
    script_text(s, stripe_text(invoice, "currency"));
    script_i64(s, stripe_integer(invoice, "amount_due", 0));
    script_i64(s, stripe_integer(invoice, "amount_paid", 0));
    script_i64_or_null(s, stripe_integer(invoice, "period_start", 0));
    script_i64_or_null(s, stripe_integer(invoice, "period_end", 0));
    script_i64_or_null(s, stripe_integer(transitions, "finalized_at", 0));
    script_i64(s, j->event.created_s);
}

static void invoice_apply(struct job *j, struct script *s)
{
    const json_t *invoice = job_object(j);
    add_invoice(j, s);
    json_t *detail =
        json_pack("{s:s, s:s, s:I, s:I}", "status", stripe_text(invoice, "status"), "currency",
                  stripe_text(invoice, "currency"), "amount_due_minor",
                  (json_int_t)stripe_integer(invoice, "amount_due", 0), "amount_paid_minor",
                  (json_int_t)stripe_integer(invoice, "amount_paid", 0));
    job_add_history(j, s, detail);
    json_decref(detail);
    /* It bills a period that is over: what is not claimed of that should reach it while it is a
     * draft. */
    if (stripe_event_is(&j->event, ".created")) {
        script_add(s, SQL_REQUEST_SETTLING);
        script_text(s, j->tenant);
    }
}

const struct family INVOICE_FAMILY = {.prefix = "invoice.",
                                      .ends = ENDS,
                                      .path = "v1/invoices",
                                      .read = invoice_read,
                                      .judge = invoice_judge,
                                      .apply = invoice_apply};
