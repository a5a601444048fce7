/* customer.created, .updated and .deleted: which tenant is which customer of Stripe's.
 *
 * A mapping, once made, stays until the customer is deleted: usage is billed by it, so that a move
 * to another customer or tenant is a person's decision, and such an event fails visibly. */
#include "webhookd/work/job.h"

#include "webhookd/sql.h"

#include <string.h>

static const char *const ENDS[] = {"created", "updated", "deleted", NULL};

static int customer_read(struct job *j)
{
    struct customer_object *c = &j->customer;
    if (customer_object_read(job_object(j), c))
        return job_say(j, "the customer has no id");
    c->deleted = c->deleted || stripe_event_is(&j->event, ".deleted");
    /* Fetching a deleted customer gives its id alone. */
    if (!c->tenant)
        c->tenant = metadata_tenant(j->event.object);
    job_set(&j->customer_id, c->id);
    job_set(&j->tenant, c->tenant);
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
    bool matches = customer_object_read(prior, &was) == 0 && is_same(was.email, j->stored.email) &&
                   is_same(was.tenant, j->stored.tenant);
    json_decref(prior);
    return matches;
}

static enum order_answer find_order(const struct job *j)
{
    const struct order order = {.stored = j->stored.known,
                                .stored_final = j->stored.deleted,
                                .stored_created_s = j->stored.created_s,
                                .event_created_s = j->event.created_s,
                                .event_first = stripe_event_is(&j->event, ".created"),
                                .event_final = j->customer.deleted,
                                .fetched = j->fetched != NULL,
                                .prior_matches = j->stored.known && prior_matches(j)};
    return order_decide(&order);
}

static enum verdict say(struct job *j, enum verdict verdict, const char *why)
{
    job_say(j, "%s", why);
    return verdict;
}

static enum verdict customer_judge(struct job *j)
{
    enum order_answer order = find_order(j);
    if (order != ORDER_NEWS)
        return job_say_stale(j, order);
    if (j->stored.known && !j->tenant)
        job_set(&j->tenant, j->stored.tenant);
    if (!j->tenant)
        return say(j, VERDICT_IGNORE, "no tenant: the customer has no metadata.tenant");
    if (!tenant_is_valid(j->tenant))
        return say(j, VERDICT_IGNORE, "metadata.tenant is longer than 128 bytes or not plain text");
    if (j->stored.known && !is_same(j->stored.tenant, j->tenant)) {
        job_say(j, "the customer belongs to tenant %.60s already", j->stored.tenant);
        return VERDICT_FAIL;
    }
    if (j->holder) {
        job_say(j, "the tenant has the customer %.60s already", j->holder);
        return j->customer.deleted ? VERDICT_IGNORE : VERDICT_FAIL;
    }
    return VERDICT_APPLY;
}

static void customer_apply(struct job *j, struct script *s)
{
    script_add(s, SQL_WRITE_CUSTOMER);
    script_text(s, j->tenant);
    script_text(s, j->customer_id);
    script_text(s, j->customer.email);
    script_bool(s, j->customer.deleted);
    script_i64(s, j->event.created_s);
    if (!j->stored.known) {
        script_add(s, SQL_REQUEUE_EVENTS);
        script_text(s, j->customer_id);
    }
    script_add(s, SQL_REFRESH_QUOTAS);
    script_text(s, j->tenant);
    json_t *detail = json_pack("{s:s, s:s?, s:b}", "customer", j->customer_id, "email",
                               j->customer.email, "deleted", j->customer.deleted);
    job_add_history(j, s, detail);
    json_decref(detail);
}

const struct family CUSTOMER_FAMILY = {.prefix = "customer.",
                                       .ends = ENDS,
                                       .path = "v1/customers",
                                       .read = customer_read,
                                       .judge = customer_judge,
                                       .apply = customer_apply};
