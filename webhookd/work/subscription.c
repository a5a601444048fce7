/* customer.subscription.*: a tenant's plan, its billing periods and, by them, its limits.
 *
 * The tenant is metadata.tenant of the subscription, or else of its customer: as stored, as
 * fetched, or, without a key, as an event of the customer will tell in a moment. A subscription
 * that names its tenant maps the customer too, since Stripe may send it first. */
#include "webhookd/work/job.h"

#include "common/log.h"
#include "webhookd/sql.h"

#include <string.h>

static const char *const ENDS[] = {"created", "updated", "deleted", "paused", "resumed", NULL};

static int subscription_read(struct job *j)
{
    struct err e;
    subscription_object_done(&j->subscription);
    if (subscription_object_read(job_object(j), &j->subscription, &e))
        return job_say(j, "%s", e.text);
    const char *tenant = j->subscription.tenant;
    job_set(&j->customer_id, j->subscription.customer_id);
    job_set(&j->tenant, tenant ? tenant : metadata_tenant(j->fetched_customer));
    return 0;
}

static bool is_final(const struct subscription_object *s)
{
    return !strcmp(s->status, "canceled") || !strcmp(s->status, "incomplete_expired");
}

static bool prior_matches(const struct job *j)
{
    struct err e;
    struct subscription_object was;
    json_t *prior = stripe_event_prior_object(&j->event);
    bool matches = subscription_object_read(prior, &was, &e) == 0 &&
                   strcmp(was.fingerprint, j->stored_subscription.state) == 0;
    subscription_object_done(&was);
    json_decref(prior);
    return matches;
}

static enum order_answer find_order(const struct job *j)
{
    const struct stored_subscription *stored = &j->stored_subscription;
    const struct order order = {.stored = stored->known,
                                .stored_final = stored->final,
                                .stored_created_s = stored->created_s,
                                .event_created_s = j->event.created_s,
                                .event_first = stripe_event_is(&j->event, ".created"),
                                .event_final = is_final(&j->subscription),
                                .fetched = j->fetched != NULL,
                                .prior_matches = stored->known && prior_matches(j)};
    return order_decide(&order);
}

/* A subscription never moves to another tenant: its usage and its periods are booked there. */
static void find_tenant(struct job *j)
{
    if (j->stored_subscription.known)
        job_set(&j->tenant, j->stored_subscription.tenant);
    else if (!j->tenant && j->stored.known)
        job_set(&j->tenant, j->stored.tenant);
}

static enum verdict judge_tenant(struct job *j)
{
    if (!tenant_is_valid(j->tenant)) {
        job_say(j, "metadata.tenant is longer than 128 bytes or not plain text");
        return VERDICT_IGNORE;
    }
    if (j->stored.known && strcmp(j->stored.tenant, j->tenant) != 0) {
        job_say(j, "it names another tenant than its customer, which is %.60s's", j->stored.tenant);
        return VERDICT_FAIL;
    }
    if (!j->stored.known && j->holder) {
        job_say(j, "the tenant has the customer %.60s already", j->holder);
        return VERDICT_FAIL;
    }
    return VERDICT_APPLY;
}

static enum verdict subscription_judge(struct job *j)
{
    enum order_answer order = find_order(j);
    if (order != ORDER_NEWS)
        return job_say_stale(j, order);
    find_tenant(j);
    if (j->tenant)
        return judge_tenant(j);
    job_say(j, "no tenant: neither the subscription nor its customer has metadata.tenant");
    if (!j->fetched_customer)
        return VERDICT_CUSTOMER;
    /* The customer is known to Stripe, and to nobody else. */
    return VERDICT_IGNORE;
}

static void add_customer(struct job *j, struct script *s)
{
    script_add(s, SQL_WRITE_CUSTOMER);
    script_text(s, j->tenant);
    script_text(s, j->customer_id);
    script_text(s, stripe_text(j->fetched_customer, "email"));
    script_bool(s, false);
    script_text(s, NULL);
}

static void add_subscription(struct job *j, struct script *s)
{
    const struct subscription_object *o = &j->subscription;
    j->answer_at = s->n;
    script_add(s, SQL_WRITE_SUBSCRIPTION);
    script_text(s, o->id);
    script_text(s, j->tenant);
    script_text(s, o->customer_id);
    script_json(s, o->lookup_keys);
    script_json(s, o->plans);
    script_text(s, o->status);
    script_i64(s, o->period_start_s);
    script_i64(s, o->period_end_s);
    script_i64(s, o->anchor_s);
    script_text(s, o->interval);
    script_i64(s, o->interval_count);
    script_i64(s, o->started_s);
    /* Without an end its periods would be projected for ever. */
    script_i64_or_null(s, is_final(o) && !o->ended_s ? j->event.created_s : o->ended_s);
    script_bool(s, o->cancel_at_period_end);
    script_text(s, o->currency);
    script_i64(s, j->event.created_s);
}

static void add_items(struct job *j, struct script *s)
{
    const struct subscription_object *o = &j->subscription;
    script_add(s, SQL_DROP_ITEMS);
    script_text(s, o->id);
    script_json(s, o->items);
    script_add(s, SQL_WRITE_ITEMS);
    script_text(s, o->id);
    script_text(s, j->tenant);
    script_json(s, o->items);
}

static void add_consequences(struct job *j, struct script *s)
{
    const struct subscription_object *o = &j->subscription;
    script_add(s, SQL_REFRESH_PERIODS);
    script_text(s, j->tenant);
    script_add(s, SQL_REFRESH_QUOTAS);
    script_text(s, j->tenant);
    json_t *detail =
        json_pack("{s:s, s:s, s:I, s:I, s:b}", "customer", j->customer_id, "status", o->status,
                  "period_start", (json_int_t)o->period_start_s, "period_end",
                  (json_int_t)o->period_end_s, "cancel_at_period_end", o->cancel_at_period_end);
    job_add_history(j, s, detail);
    json_decref(detail);
}

static void subscription_apply(struct job *j, struct script *s)
{
    if (!j->stored.known)
        add_customer(j, s);
    add_subscription(j, s);
    add_items(j, s);
    add_consequences(j, s);
}

static void tell_of_plan(const struct job *j, const PGresult *answer)
{
    if (!result_text(answer, 0, 0))
        log_warn(
            plan_unknown, LOG_STR("tenant", j->tenant), LOG_STR("object", j->event.object_id),
            LOG_MSG("no plan of the catalog fits the subscription's prices; limits are free's"));
}

const struct family SUBSCRIPTION_FAMILY = {.prefix = "customer.subscription.",
                                           .ends = ENDS,
                                           .path = "v1/subscriptions",
                                           .read = subscription_read,
                                           .judge = subscription_judge,
                                           .apply = subscription_apply,
                                           .tell = tell_of_plan};
