/* customer.subscription.*: a tenant's plan and billing periods, from which its limits follow.
 *
 * The tenant is metadata.tenant of the subscription, or else of its customer: the stored one, the
 * fetched one or, without a key, what an event of the customer will soon tell. A subscription that
 * names its tenant also maps the customer, because Stripe may send the subscription first. */
#include "webhookd/work/job.h"

#include "common/log.h"
#include "webhookd/sql.h"

#include <string.h>

static const char *const ENDINGS[] = {"created", "updated", "deleted", "paused", "resumed", NULL};

static int subscription_parse(struct job *j)
{
    struct err e;
    subscription_object_done(&j->subscription);
    if (subscription_object_parse(job_object(j), &j->subscription, &e))
        return job_set_why(j, "%s", e.text);
    const char *tenant = j->subscription.tenant;
    job_set_text(&j->customer_id, j->subscription.customer_id);
    job_set_text(&j->tenant, tenant ? tenant : metadata_tenant(j->fetched_customer));
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
    bool matches = subscription_object_parse(prior, &was, &e) == 0 &&
                   strcmp(was.fingerprint, j->stored_subscription.state) == 0;
    subscription_object_done(&was);
    json_decref(prior);
    return matches;
}

static enum event_age age_of(const struct job *j)
{
    const struct stored_subscription *stored = &j->stored_subscription;
    const struct event_order order = {.stored = stored->known,
                                      .stored_final = stored->final,
                                      .stored_created_s = stored->created_s,
                                      .event_created_s = j->event.created_s,
                                      .event_first = stripe_event_is(&j->event, ".created"),
                                      .event_final = is_final(&j->subscription),
                                      .fetched = j->fetched != NULL,
                                      .prior_matches = stored->known && prior_matches(j)};
    return event_age_of(&order);
}

/* A subscription never moves to another tenant: its usage and its periods are booked there. */
static void find_tenant(struct job *j)
{
    if (j->stored_subscription.known)
        job_set_text(&j->tenant, j->stored_subscription.tenant);
    else if (!j->tenant && j->stored.known)
        job_set_text(&j->tenant, j->stored.tenant);
}

static enum verdict judge_tenant(struct job *j)
{
    if (job_judge_tenant(j) != VERDICT_APPLY)
        return VERDICT_IGNORE;
    if (j->stored.known && strcmp(j->stored.tenant, j->tenant) != 0)
        return job_judge(j, VERDICT_FAIL,
                         "it names tenant %.60s, but its customer belongs to %.60s: correct its "
                         "metadata.tenant",
                         j->tenant, j->stored.tenant);
    if (!j->stored.known && j->other_customer)
        return job_judge_other_customer(j, VERDICT_FAIL);
    return VERDICT_APPLY;
}

static enum verdict subscription_judge(struct job *j)
{
    enum event_age age = age_of(j);
    if (age != EVENT_NEWS)
        return job_judge_stale(j, age);
    find_tenant(j);
    if (j->tenant)
        return judge_tenant(j);
    return job_judge(j, j->fetched_customer ? VERDICT_IGNORE : VERDICT_NEEDS_CUSTOMER,
                     "no tenant: neither the subscription nor its customer has metadata.tenant");
}

static void add_customer(struct job *j, struct statement_list *l)
{
    statement_list_add(l, SQL_WRITE_CUSTOMER);
    param_text(l, j->tenant);
    param_text(l, j->customer_id);
    param_text(l, stripe_text(j->fetched_customer, "email"));
    param_bool(l, false);
    param_text(l, NULL);
}

static void add_subscription(struct job *j, struct statement_list *l)
{
    const struct subscription_object *o = &j->subscription;
    j->answer_at = l->n;
    statement_list_add(l, SQL_WRITE_SUBSCRIPTION);
    param_text(l, o->id);
    param_text(l, j->tenant);
    param_text(l, o->customer_id);
    param_json(l, o->lookup_keys);
    param_json(l, o->plans);
    param_text(l, o->status);
    param_i64(l, o->period_start_s);
    param_i64(l, o->period_end_s);
    param_i64(l, o->anchor_s);
    param_text(l, o->interval);
    param_i64(l, o->interval_count);
    param_i64(l, o->started_s);
    /* Without an end its periods would go on for ever. */
    param_i64_or_null(l, is_final(o) && !o->ended_s ? j->event.created_s : o->ended_s);
    param_bool(l, o->cancel_at_period_end);
    param_text(l, o->currency);
    param_i64(l, j->event.created_s);
}

static void add_items(struct job *j, struct statement_list *l)
{
    const struct subscription_object *o = &j->subscription;
    statement_list_add(l, SQL_DROP_ITEMS);
    param_text(l, o->id);
    param_json(l, o->items);
    statement_list_add(l, SQL_WRITE_ITEMS);
    param_text(l, o->id);
    param_text(l, j->tenant);
    param_json(l, o->items);
}

static void add_consequences(struct job *j, struct statement_list *l)
{
    const struct subscription_object *o = &j->subscription;
    statement_list_add(l, SQL_REFRESH_PERIODS);
    param_text(l, j->tenant);
    statement_list_add(l, SQL_REFRESH_QUOTAS);
    param_text(l, j->tenant);
    json_t *detail =
        json_pack("{s:s, s:s, s:I, s:I, s:b}", "customer", j->customer_id, "status", o->status,
                  "period_start", (json_int_t)o->period_start_s, "period_end",
                  (json_int_t)o->period_end_s, "cancel_at_period_end", o->cancel_at_period_end);
    job_add_history(j, l, detail);
    json_decref(detail);
}

static void subscription_apply(struct job *j, struct statement_list *l)
{
    if (!j->stored.known)
        add_customer(j, l);
    add_subscription(j, l);
    add_items(j, l);
    add_consequences(j, l);
}

static void log_plan(const struct job *j, const PGresult *answer)
{
    if (!result_text(answer, 0, 0))
        log_warn(plan_unknown, LOG_STR("tenant", j->tenant), LOG_STR("object", j->event.object_id),
                 LOG_MSG("the subscription fits no plan of the catalog, so its tenant has the "
                         "limits of the plan free: see lookup keys and metadata.plan"));
}

const struct family SUBSCRIPTION_FAMILY = {.prefix = "customer.subscription.",
                                           .endings = ENDINGS,
                                           .path = "v1/subscriptions",
                                           .parse = subscription_parse,
                                           .judge = subscription_judge,
                                           .apply = subscription_apply,
                                           .log_effect = log_plan};
