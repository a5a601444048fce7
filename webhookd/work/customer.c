/* customer.created, .updated and .deleted: which Stripe customer is which tenant.
 *
 * A mapping stays until the customer is deleted, because usage is billed by it. To move a tenant to
 * another customer, or a customer to another tenant, is a person's decision: such an event fails
 * visibly. */
#include "webhookd/work/job.h"

#include "webhookd/sql.h"

#include <string.h>

static const char *const ENDINGS[] = {"created", "updated", "deleted", NULL};

static int customer_parse(struct job *j)
{
    struct customer_object *c = &j->customer;
    if (customer_object_parse(job_object(j), c))
        return job_set_why(j, "the customer has no id");
    c->deleted = c->deleted || stripe_event_is(&j->event, ".deleted");
    /* Of a deleted customer Stripe returns only the id. */
    if (!c->tenant)
        c->tenant = metadata_tenant(j->event.object);
    job_set_text(&j->customer_id, c->id);
    job_set_text(&j->tenant, c->tenant);
    return 0;
}

static bool is_same(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static bool prior_matches(const struct job *j)
{
    struct customer_object was;
    json_t *prior = stripe_event_prior_object(&j->event);
    bool matches = customer_object_parse(prior, &was) == 0 && is_same(was.email, j->stored.email) &&
                   is_same(was.tenant, j->stored.tenant);
    json_decref(prior);
    return matches;
}

static enum event_age age_of(const struct job *j)
{
    const struct event_order order = {.stored = j->stored.known,
                                      .stored_final = j->stored.deleted,
                                      .stored_created_s = j->stored.created_s,
                                      .event_created_s = j->event.created_s,
                                      .event_first = stripe_event_is(&j->event, ".created"),
                                      .event_final = j->customer.deleted,
                                      .fetched = j->fetched != NULL,
                                      .prior_matches = j->stored.known && prior_matches(j)};
    return event_age_of(&order);
}

static enum verdict customer_judge(struct job *j)
{
    enum event_age age = age_of(j);
    if (age != EVENT_NEWS)
        return job_judge_stale(j, age);
    if (j->stored.known && !j->tenant)
        job_set_text(&j->tenant, j->stored.tenant);
    if (!j->tenant)
        return job_judge(j, VERDICT_IGNORE, "no tenant: the customer has no metadata.tenant");
    if (job_judge_tenant(j) != VERDICT_APPLY)
        return VERDICT_IGNORE;
    if (j->stored.known && !is_same(j->stored.tenant, j->tenant))
        return job_judge(j, VERDICT_FAIL,
                         "the customer already belongs to tenant %.60s and cannot become %.60s's: "
                         "set its metadata.tenant back",
                         j->stored.tenant, j->tenant);
    if (j->other_customer)
        return job_judge_other_customer(j, j->customer.deleted ? VERDICT_IGNORE : VERDICT_FAIL);
    return VERDICT_APPLY;
}

static void customer_apply(struct job *j, struct statement_list *l)
{
    statement_list_add(l, SQL_WRITE_CUSTOMER);
    param_text(l, j->tenant);
    param_text(l, j->customer_id);
    param_text(l, j->customer.email);
    param_bool(l, j->customer.deleted);
    param_i64(l, j->event.created_s);
    if (!j->stored.known) {
        statement_list_add(l, SQL_REQUEUE_EVENTS);
        param_text(l, j->customer_id);
    }
    statement_list_add(l, SQL_REFRESH_QUOTAS);
    param_text(l, j->tenant);
    json_t *detail = json_pack("{s:s, s:s?, s:b}", "customer", j->customer_id, "email",
                               j->customer.email, "deleted", j->customer.deleted);
    job_add_history(j, l, detail);
    json_decref(detail);
}

const struct family CUSTOMER_FAMILY = {.prefix = "customer.",
                                       .endings = ENDINGS,
                                       .path = "v1/customers",
                                       .parse = customer_parse,
                                       .judge = customer_judge,
                                       .apply = customer_apply};
