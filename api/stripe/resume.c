/* A POST whose outcome is not known. While Stripe keeps its key, the same bytes under the same key
 * tell what became of it. Later, or if a failure is stored under the key, what it was to make is
 * looked for by the key in its metadata; if there is none, it was not made. What makes nothing is
 * planned anew by whoever wants it: its effect shows. */
#include "api/stripe/job.h"

#include "common/stripe/objects/stripe_event.h"

#include <string.h>

enum { CLOCKS_DIFFER_S = 300 };

static const char *text_of(const struct job *j, const char *name)
{
    return stripe_text(j->resumed, name);
}

static void take_ended(struct api_request *r, PGresult **results, int n)
{
    (void)results, (void)n;
    job_read_state(job_of(r));
}

static void end_resumed(struct job *j, const char *state, const char *object, const char *error)
{
    job_end_operation(j, text_of(j, "key"), state, object, error, take_ended);
}

/* Looking. */

static const json_t *find_made(const struct job *j, const json_t *list)
{
    size_t i;
    const json_t *object;
    json_array_foreach(json_object_get(list, "data"), i, object)
    {
        const char *key = stripe_text(json_object_get(object, "metadata"), OPERATION_METADATA);
        if (key && !strcmp(key, text_of(j, "key")))
            return object;
    }
    return NULL;
}

static void look_in(struct job *j, const char *after);

static void take_list(struct job *j, json_t *list)
{
    const json_t *made = find_made(j, list);
    const json_t *data = json_object_get(list, "data");
    size_t n = json_array_size(data);
    const char *last = stripe_text(n > 0 ? json_array_get(data, n - 1) : NULL, "id");
    if (made)
        end_resumed(j, "done", stripe_text(made, "id"), NULL);
    else if (json_is_true(json_object_get(list, "has_more")) && stripe_is_id(last) &&
             !json_object_get(list, "next_page"))
        look_in(j, last);
    else
        end_resumed(j, "spent", NULL, "Stripe gave no answer, and has nothing that it made");
}

/* Lists are complete at once; searching lags by up to a minute, and takes no key of a moment ago
 * (docs.stripe.com/search). */
static void look_in(struct job *j, const char *after)
{
    struct stripe_form f = {0};
    int64_t age_s = stripe_integer(j->resumed, "age_s", 0);
    bool makes_customer = !strcmp(text_of(j, "operation"), "create_customer");
    if (makes_customer && age_s >= JOB_KEY_LIFE_S) {
        char *query = xasprintf("metadata['%s']:'%s'", OPERATION_METADATA, text_of(j, "key"));
        stripe_form_text(&f, query, "query");
        free(query);
        job_get(j, "/v1/customers/search", &f, take_list);
        return;
    }
    if (makes_customer) {
        stripe_form_i64(&f, stripe_integer(j->resumed, "begun_s", 0) - CLOCKS_DIFFER_S,
                        "created[gte]");
    } else {
        stripe_form_text(&f, text_of(j, "customer"), "customer");
        stripe_form_text(&f, "all", "status");
    }
    stripe_form_i64(&f, 100, "limit");
    stripe_form_text(&f, after, "starting_after");
    job_get(j, makes_customer ? "/v1/customers" : "/v1/subscriptions", &f, take_list);
}

static void look(struct job *j)
{
    const char *operation = text_of(j, "operation");
    bool makes = !strcmp(operation, "create_customer") || !strcmp(operation, "create_subscription");
    if (makes)
        look_in(j, NULL);
    else
        end_resumed(j, "spent", NULL, "Stripe gave no answer");
}

/* Sending again. */

static void on_resumed(void *owner, const struct stripe_reply *reply)
{
    struct job *j = owner;
    if (reply->outcome == STRIPE_DONE) {
        end_resumed(j, "done", stripe_text(reply->object, "id"), NULL);
    } else if (reply->outcome == STRIPE_REFUSED) {
        stripe_fault_of(&j->fault, reply);
        end_resumed(j, "refused", NULL, j->fault.message);
    } else if (reply->spent) {
        look(j);
    } else {
        stripe_fault_of(&j->fault, reply);
        job_fail_by(j, &j->fault);
    }
}

static void take_held(struct api_request *r, PGresult **results, int n)
{
    struct job *j = job_of(r);
    (void)n;
    if (job_fail_if_taken_over(j, results[0]))
        return;
    const struct stripe_request request = {.method = "POST",
                                           .path = text_of(j, "path"),
                                           .form = text_of(j, "body"),
                                           .idempotency_key = text_of(j, "key")};
    stripe_calls_send(stripe_work_calls(j->work), &request, on_resumed, j);
}

void job_resume(struct job *j, json_t *open)
{
    j->resumed = open;
    if (stripe_integer(open, "age_s", 0) >= JOB_KEY_LIFE_S)
        look(j);
    else
        job_look_at_lock(j, take_held);
}
