#include "api/billing/steps.h"

#include "common/stripe/objects/stripe_event.h"

#include <stdlib.h>
#include <string.h>

enum { LOOKUP_KEYS_MAX = 10 }; /* Stripe takes so many in one call */

/* The customer. */

static void take_made(struct job *j, json_t *customer)
{
    free(j->customer);
    j->customer = xstrdup(stripe_text(customer, "id"));
    job_hint(j, "customer", j->customer);
    j->after_customer(j);
}

static void make_customer(struct job *j)
{
    struct stripe_form f = {0};
    stripe_form_text(&f, j->tenant, "metadata[tenant]");
    job_post(j, "create_customer", "/v1/customers", &f, true, take_made);
}

/* One that we made a moment ago, and webhookd has not stored yet. */
static void take_known(struct job *j, json_t *customer)
{
    if (!customer || json_is_true(json_object_get(customer, "deleted"))) {
        j->no_customer(j);
        return;
    }
    free(j->customer);
    j->customer = xstrdup(stripe_text(customer, "id"));
    j->after_customer(j);
}

/* Which of two customers is billed is not ours to say: see contested_since. */
static void fail_contested(struct job *j)
{
    job_fail(j, 409, "customer_contested", NULL,
             "Two customers at Stripe have a subscription of this tenant, and a person has to "
             "decide which one counts: see `meterctl customers show %s`. Nothing was changed",
             j->tenant);
}

void steps_use_customer(struct job *j, job_fn next, job_fn otherwise)
{
    const json_t *customer = json_object_get(j->state, "customer");
    const char *stored = stripe_text(customer, "id");
    const char *made = stripe_text(j->state, "made_customer");
    j->after_customer = next;
    j->no_customer = otherwise;
    if (json_is_true(json_object_get(customer, "contested"))) {
        fail_contested(j);
    } else if (stored) {
        free(j->customer);
        j->customer = xstrdup(stored);
        next(j);
    } else if (made) {
        char *path = xasprintf("/v1/customers/%s", made);
        j->missing_is_fine = true;
        job_get(j, path, NULL, take_known);
        free(path);
    } else {
        otherwise(j);
    }
}

void steps_find_customer(struct job *j, job_fn next)
{
    steps_use_customer(j, next, make_customer);
}

static void fail_without_customer(struct job *j)
{
    job_fail(j, 409, "no_customer", NULL,
             "This tenant has no customer at Stripe: POST /api/billing/customer makes one");
}

void steps_need_customer(struct job *j, job_fn next)
{
    steps_use_customer(j, next, fail_without_customer);
}

/* Subscriptions. */

static bool is_live(const json_t *subscription)
{
    const char *status = stripe_text(subscription, "status");
    return status && strcmp(status, "canceled") != 0 && strcmp(status, "incomplete_expired") != 0;
}

static void list_page(struct job *j, const char *after);

static void take_subscriptions(struct job *j, json_t *list)
{
    size_t i;
    json_t *subscription;
    const char *last = NULL;
    json_array_foreach(json_object_get(list, "data"), i, subscription)
    {
        last = stripe_text(subscription, "id");
        if (is_live(subscription))
            json_array_append(j->live, subscription);
    }
    if (json_is_true(json_object_get(list, "has_more")) && stripe_is_id(last))
        list_page(j, last);
    else
        j->after_list(j);
}

static void list_page(struct job *j, const char *after)
{
    struct stripe_form f = {0};
    stripe_form_text(&f, j->customer, "customer");
    stripe_form_text(&f, "all", "status");
    stripe_form_i64(&f, 100, "limit");
    stripe_form_text(&f, after, "starting_after");
    job_get(j, "/v1/subscriptions", &f, take_subscriptions);
}

/* Stripe itself says what stands: ours may be a moment behind. One that stands may be older than
 * any number of ended ones. */
void steps_list_live(struct job *j, job_fn next)
{
    j->after_list = next;
    json_decref(j->live);
    j->live = json_array();
    list_page(j, NULL);
}

void steps_fail_live(struct job *j)
{
    const json_t *first = json_array_get(j->live, 0);
    const char *id = stripe_text(first, "id");
    const char *status = stripe_text(first, "status");
    job_fail(j, 409, "subscription_exists", NULL,
             "This tenant has the subscription %s (%s) already: change it by PUT, or end it first",
             id ? id : "", status ? status : "");
}

static void take_items(struct job *j, json_t *list)
{
    json_t *items = json_object_get(j->subscription, "items");
    json_object_set(items, "data", json_object_get(list, "data"));
    json_object_set_new(items, "has_more", json_false());
    j->after_list(j);
}

void steps_pick_live(struct job *j, job_fn next)
{
    struct stripe_form f = {0};
    const char *named = api_text(j->r, "subscription");
    for (size_t i = json_array_size(j->live); named && i > 0; i--)
        if (strcmp(stripe_text(json_array_get(j->live, i - 1), "id"), named) != 0)
            json_array_remove(j->live, i - 1);
    size_t n = json_array_size(j->live);
    j->after_list = next;
    if (n == 0) {
        job_fail(j, 409, "no_subscription", NULL, "This tenant has no subscription that stands");
        return;
    }
    if (n > 1) {
        job_fail(j, 409, "several_subscriptions", NULL,
                 "This tenant has %zu subscriptions that stand: say which one by `subscription`",
                 n);
        return;
    }
    json_decref(j->subscription);
    j->subscription = json_incref(json_array_get(j->live, 0));
    if (!json_is_true(json_object_get(json_object_get(j->subscription, "items"), "has_more"))) {
        next(j);
        return;
    }
    stripe_form_text(&f, stripe_text(j->subscription, "id"), "subscription");
    stripe_form_i64(&f, 100, "limit");
    job_get(j, "/v1/subscription_items", &f, take_items);
}

static void pick_live(struct job *j)
{
    steps_pick_live(j, j->after_live);
}

void steps_need_live(struct job *j, job_fn next)
{
    j->after_live = next;
    steps_list_live(j, pick_live);
}

/* Prices. */

static void fetch_more(struct job *j);

static void take_prices(struct job *j, json_t *list)
{
    json_t *data = json_object_get(list, "data");
    json_array_extend(j->prices, data);
    fetch_more(j);
}

static void fetch_more(struct job *j)
{
    struct stripe_form f = {0};
    int n = 0;
    while (n < LOOKUP_KEYS_MAX && json_array_size(j->lookup_keys) > 0) {
        stripe_form_text(&f, json_string_value(json_array_get(j->lookup_keys, 0)),
                         "lookup_keys[%d]", n++);
        json_array_remove(j->lookup_keys, 0);
    }
    if (n == 0) {
        j->after_prices(j);
        return;
    }
    stripe_form_bool(&f, true, "active");
    stripe_form_i64(&f, 100, "limit");
    job_get(j, "/v1/prices", &f, take_prices);
}

void steps_fetch_prices(struct job *j, const char *interval, job_fn next)
{
    const json_t *plan = json_object_get(j->state, "plan");
    if (!json_is_object(plan)) {
        job_fail(j, 400, "unknown_plan", "plan", "The catalog has no plan of this name");
        return;
    }
    if (json_is_true(json_object_get(plan, "custom"))) {
        job_fail(j, 409, "sold_by_hand", "plan",
                 "This plan has no price of its own: it is agreed on with the customer, and set up "
                 "by a person");
        return;
    }
    j->after_prices = next;
    json_decref(j->prices);
    json_decref(j->lookup_keys);
    j->prices = json_array();
    j->lookup_keys = offer_lookup_keys(plan, interval);
    fetch_more(j);
}

int steps_read_offer(struct job *j, const char *interval, struct offer *out)
{
    char missing[80];
    if (offer_read(out, json_object_get(j->state, "plan"), interval, j->prices, missing) == 0)
        return 0;
    job_fail(j, 409, "plan_not_at_stripe", "plan",
             "Stripe has no active price with the lookup key %s: run `meterctl stripe setup`, or "
             "ask for another plan or interval",
             missing);
    return -1;
}

/* Checkouts. */

static void expire_next(struct job *j);

static void take_expired(struct job *j, json_t *session)
{
    (void)session;
    json_array_remove(j->sessions, 0);
    expire_next(j);
}

static void fail_open(struct api_request *r, PGresult **results, int n)
{
    (void)results, (void)n;
    api_header(r, "Retry-After", "5");
    job_fail(job_of(r), 409, "checkout_open", NULL,
             "Stripe does not end an open checkout of this tenant's: it may be being paid. Nothing "
             "was made. Send the request again in a moment");
}

/* Paid or ended: a subscription that it made shows in the next look. Open all the same: it may be
 * paid at any moment, and no look would be the last one. The next try needs another key, since
 * Stripe may keep the refusal under this one. */
static void take_unexpired(struct job *j, json_t *session)
{
    const char *status = stripe_text(session, "status");
    if (status && strcmp(status, "open") != 0) {
        take_expired(j, session);
        return;
    }
    job_end_operation(j, j->key, "spent", NULL, "Stripe does not end it, and it is open",
                      fail_open);
}

static char *path_of_first(const struct job *j, const char *then)
{
    return xasprintf("/v1/checkout/sessions/%s%s",
                     json_string_value(json_array_get(j->sessions, 0)), then);
}

static void take_refused(struct job *j)
{
    char *path = path_of_first(j, "");
    job_get(j, path, NULL, take_unexpired);
    free(path);
}

static void expire_next(struct job *j)
{
    struct stripe_form f = {0};
    if (json_array_size(j->sessions) == 0) {
        j->after_checkouts(j);
        return;
    }
    char *path = path_of_first(j, "/expire");
    j->refused = take_refused;
    job_post(j, "expire_checkout", path, &f, false, take_expired);
    free(path);
}

static void list_sessions(struct job *j, const char *after);

static void take_sessions(struct job *j, json_t *list)
{
    size_t i;
    json_t *session;
    const char *last = NULL;
    json_array_foreach(json_object_get(list, "data"), i, session)
    {
        const char *id = stripe_text(session, "id");
        const char *status = stripe_text(session, "status");
        last = id;
        if (!stripe_is_id(id) || !status || strcmp(status, "open") != 0)
            continue;
        if (!j->checkout && j->keeps && j->keeps(j, session))
            j->checkout = json_incref(session);
        else
            json_array_append_new(j->sessions, json_string(id));
    }
    if (json_is_true(json_object_get(list, "has_more")) && stripe_is_id(last))
        list_sessions(j, last);
    else
        expire_next(j);
}

static void list_sessions(struct job *j, const char *after)
{
    struct stripe_form f = {0};
    stripe_form_text(&f, j->customer, "customer");
    stripe_form_text(&f, "open", "status");
    stripe_form_i64(&f, 100, "limit");
    stripe_form_text(&f, after, "starting_after");
    job_get(j, "/v1/checkout/sessions", &f, take_sessions);
}

void steps_expire_checkouts(struct job *j, bool (*keep)(const struct job *j, const json_t *session),
                            job_fn next)
{
    j->after_checkouts = next;
    j->keeps = keep;
    if (!json_is_true(json_object_get(j->state, "had_checkout"))) {
        next(j);
        return;
    }
    json_decref(j->sessions);
    j->sessions = json_array();
    list_sessions(j, NULL);
}

/* A trial is for a tenant's first subscription, unless the request says otherwise. */
int64_t steps_trial_days(const struct job *j)
{
    const json_t *plan = json_object_get(j->state, "plan");
    if (api_given(j->r, "trial_days"))
        return api_whole(j->r, "trial_days");
    return json_is_true(json_object_get(j->state, "had_subscription"))
               ? 0
               : stripe_integer(plan, "trial_days", 0);
}

bool steps_is_url(const char *text)
{
    return !strncmp(text, "https://", 8) || !strncmp(text, "http://", 7);
}
