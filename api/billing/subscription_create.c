/* A new subscription: all items in one call, unless one stands already. */
#include "api/billing/billing_routes.h"
#include "api/billing/steps.h"
#include "api/billing/stripe_versions.h"
#include "api/billing/subscription_view.h"
#include "api/sql.h"
#include "common/stripe/objects/stripe_event.h"

#include <stdlib.h>
#include <string.h>

static void finish(struct job *j, json_t *subscription)
{
    const char *id = stripe_text(subscription, "id");
    const char *invoice = stripe_reference(subscription, "latest_invoice");
    free(j->customer);
    j->customer = xstrdup(stripe_reference(subscription, "customer"));
    job_hint(j, "customer.subscription", id);
    if (stripe_is_id(invoice))
        job_hint(j, "invoice", invoice);
    api_note(j->r, id, NULL, subscription_summary(subscription, j->known));
    job_finish(j, 201, SQL_SHOW_SUBSCRIPTION, id,
               subscription_view(j->tenant, subscription, j->known), NULL);
}

static void add_items(struct stripe_form *f, const struct offer *offer, int64_t seats)
{
    stripe_form_text(f, offer->fee.id, "items[0][price]");
    stripe_form_i64(f, seats, "items[0][quantity]");
    for (int i = 0; i < offer->usage_n; i++)
        stripe_form_text(f, offer->usage[i].id, "items[%d][price]", i + 1);
}

/* Who is charged by card pays at once, or there is no subscription. */
static void add_collection(struct stripe_form *f, const struct api_request *r)
{
    if (api_given(r, "days_until_due")) {
        stripe_form_text(f, "send_invoice", "collection_method");
        stripe_form_i64(f, api_whole(r, "days_until_due"), "days_until_due");
    } else {
        stripe_form_text(f, "error_if_incomplete", "payment_behavior");
    }
}

static void make(struct job *j)
{
    struct stripe_form f = {0};
    struct offer offer;
    const struct api_request *r = j->r;
    const char *version = r->context->config->stripe_api_version;
    int64_t trial = steps_trial_days(j);
    if (steps_read_offer(j, api_text(r, "interval"), &offer))
        return;
    stripe_form_text(&f, j->customer, "customer");
    add_items(&f, &offer, api_given(r, "seats") ? api_whole(r, "seats") : 1);
    stripe_form_text(&f, j->tenant, "metadata[tenant]");
    stripe_form_text(&f, j->plan, "metadata[plan]");
    if (trial > 0)
        stripe_form_i64(&f, trial, "trial_period_days");
    add_collection(&f, r);
    stripe_form_text(&f, stripe_text(j->state, "tax_rate"), "default_tax_rates[0]");
    stripe_form_text(&f, api_text(r, "coupon"), "discounts[0][coupon]");
    if (stripe_knows_billing_mode(version))
        stripe_form_text(&f, "flexible", "billing_mode[type]");
    job_post(j, "create_subscription", "/v1/subscriptions", &f, true, finish);
}

static void look_at_live(struct job *j)
{
    if (json_array_size(j->live) > 0 && !api_flag(j->r, "additional"))
        steps_fail_live(j);
    else
        make(j);
}

/* From here on no checkout can be paid: what stands now is all that stands. */
static void take_checkouts(struct job *j)
{
    steps_list_live(j, look_at_live);
}

static void take_prices(struct job *j)
{
    steps_expire_checkouts(j, NULL, take_checkouts);
}

static void take_customer(struct job *j)
{
    steps_fetch_prices(j, api_text(j->r, "interval"), take_prices);
}

/* An earlier try of this request made it. */
static void take_made(struct job *j, json_t *subscription)
{
    const char *status = stripe_text(subscription, "status");
    if (status && strcmp(status, "canceled") != 0)
        finish(j, subscription);
    else
        steps_find_customer(j, take_customer);
}

static void begin(struct job *j)
{
    const char *made = job_made(j, "create_subscription");
    if (!made) {
        steps_find_customer(j, take_customer);
        return;
    }
    char *path = xasprintf("/v1/subscriptions/%s", made);
    j->missing_is_fine = true;
    job_get(j, path, NULL, take_made);
    free(path);
}

void subscription_create(struct api_request *r)
{
    job_start(r, api_text(r, "plan"), begin);
}
