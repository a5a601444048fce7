/* invoice.*: which periods are invoiced, and whether the invoice can still change.
 *
 * The sink needs to know: once a period's invoice is final, no more usage can be billed by it.
 * Later events only move an invoice on. write_invoice.sql keeps that order, because nothing else
 * depends on it. */
#include "webhookd/work/job.h"

#include "webhookd/sql.h"

static const char *const ENDINGS[] = {"created",
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

static int invoice_parse(struct job *j)
{
    const json_t *invoice = job_object(j);
    const char *customer = stripe_reference(invoice, "customer");
    if (!stripe_is_id(customer))
        return job_set_why(j, "the invoice has no customer");
    if (!stripe_text(invoice, "status") || !stripe_text(invoice, "currency"))
        return job_set_why(j, "the invoice has no status or no currency");
    job_set_text(&j->customer_id, customer);
    job_set_text(&j->tenant, tenant_of(j));
    return 0;
}

static enum verdict invoice_judge(struct job *j)
{
    /* The customer decides, whatever the metadata says. */
    if (j->stored.known)
        job_set_text(&j->tenant, j->stored.tenant);
    if (!j->tenant)
        return job_judge(j, j->fetched_customer ? VERDICT_IGNORE : VERDICT_NEEDS_CUSTOMER,
                         "no tenant: neither the invoice nor its customer has metadata.tenant");
    return job_judge_tenant(j);
}

static void add_invoice(struct job *j, struct statement_list *l)
{
    const json_t *invoice = job_object(j);
    const json_t *transitions = json_object_get(invoice, "status_transitions");
    statement_list_add(l, SQL_WRITE_INVOICE);
    param_text(l, j->event.object_id);
    param_text(l, j->tenant);
    param_text(l, j->customer_id);
    param_text(l, subscription_of(invoice));
    param_text(l, stripe_text(invoice, "status"));
    param_text(l, stripe_text(invoice, "currency"));
    param_i64(l, stripe_integer(invoice, "amount_due", 0));
    param_i64(l, stripe_integer(invoice, "amount_paid", 0));
    param_i64_or_null(l, stripe_integer(invoice, "period_start", 0));
    param_i64_or_null(l, stripe_integer(invoice, "period_end", 0));
    param_i64_or_null(l, stripe_integer(transitions, "finalized_at", 0));
    param_i64(l, j->event.created_s);
}

static void invoice_apply(struct job *j, struct statement_list *l)
{
    const json_t *invoice = job_object(j);
    add_invoice(j, l);
    json_t *detail =
        json_pack("{s:s, s:s, s:I, s:I}", "status", stripe_text(invoice, "status"), "currency",
                  stripe_text(invoice, "currency"), "amount_due_minor",
                  (json_int_t)stripe_integer(invoice, "amount_due", 0), "amount_paid_minor",
                  (json_int_t)stripe_integer(invoice, "amount_paid", 0));
    job_add_history(j, l, detail);
    json_decref(detail);
    /* It bills a period that is over. Usage of that period must reach it while it is a draft. */
    if (stripe_event_is(&j->event, ".created")) {
        statement_list_add(l, SQL_REQUEST_SETTLING);
        param_text(l, j->tenant);
    }
}

const struct family INVOICE_FAMILY = {.prefix = "invoice.",
                                      .endings = ENDINGS,
                                      .path = "v1/invoices",
                                      .parse = invoice_parse,
                                      .judge = invoice_judge,
                                      .apply = invoice_apply};
