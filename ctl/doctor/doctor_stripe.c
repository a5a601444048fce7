/* What the key may read is read, one list after the other, on a loop that ends with the last.
 *
 * The failure modes: a list that this key may not read is told, and the others go on; without an
 * answer, or with a key that is refused, nothing else is asked. */
#include "common/conf_check.h"
#include "common/str.h"
#include "common/stripe/stripe_api.h"
#include "ctl/doctor/doctor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { METERS, PRICES, ENDPOINTS, CUSTOMERS, SUBSCRIPTIONS, N_LISTS };
enum { FORBIDDEN = 403 };

/* Of customers and subscriptions only whether they may be read: of nobody. */
static const struct {
    const char *name;
    const char *path;
    const char *query;
    const char *permission;
} LISTS[N_LISTS] = {
    [METERS] = {"meters", "/v1/billing/meters", "", "Meters: read"},
    [PRICES] = {"prices", "/v1/prices", "active=true", "Prices: read"},
    [ENDPOINTS] = {"webhook endpoints", "/v1/webhook_endpoints", "", "Webhook Endpoints: read"},
    [CUSTOMERS] = {"customers", "/v1/customers", "email=nobody%40meterline.invalid",
                   "Customers: read"},
    [SUBSCRIPTIONS] = {"subscriptions", "/v1/subscriptions", "status=incomplete_expired",
                       "Subscriptions: read"},
};

struct asking {
    struct doctor *doctor;
    uv_loop_t loop;
    struct stripe_access access;
    struct stripe_api *api;
    json_t *lists[N_LISTS]; /* NULL: not read */
    int at;
};

static void ask_next(struct asking *a);

static void on_closed(void *owner)
{
    (void)owner;
}

static void on_item(void *owner, json_t *item)
{
    struct asking *a = owner;
    json_array_append(a->lists[a->at], item);
}

static bool is_forbidden(const struct err *error)
{
    return error->code == FORBIDDEN;
}

static void on_listed(void *owner, const struct err *error)
{
    struct asking *a = owner;

    if (error) {
        json_decref(a->lists[a->at]);
        a->lists[a->at] = NULL;
    }
    /* An err has no room for all that Stripe says. */
    const char *words = error ? stripe_api_words(a->api) : NULL;
    const char *said = words ? words : error ? error->text : "";
    if (error && is_forbidden(error))
        doctor_say(a->doctor, DOCTOR_BAD, "permission",
                   "%s: Stripe answered 403: %s; give the key \"%s\"", LISTS[a->at].name, said,
                   LISTS[a->at].permission);
    else if (error)
        doctor_say(a->doctor, DOCTOR_BAD, "stripe", "%s: %s", LISTS[a->at].name, said);
    if ((error && !is_forbidden(error)) || ++a->at == N_LISTS)
        stripe_api_close(a->api, on_closed, a);
    else
        ask_next(a);
}

static void ask_next(struct asking *a)
{
    a->lists[a->at] = json_array();
    stripe_api_list(a->api, LISTS[a->at].path, LISTS[a->at].query, NULL, on_item, on_listed, a);
}

static void judge(struct asking *a)
{
    if (a->at == N_LISTS && a->doctor->bad == 0)
        doctor_say(a->doctor, DOCTOR_OK, "permission",
                   "all that is needed may be read; writing shows with the first event");
    if (a->lists[METERS])
        doctor_judge_meters(a->doctor, a->lists[METERS]);
    if (a->lists[PRICES])
        doctor_judge_prices(a->doctor, a->lists[PRICES], a->lists[METERS]);
    if (a->lists[ENDPOINTS])
        doctor_judge_endpoints(a->doctor, a->lists[ENDPOINTS]);
    for (int i = 0; i < N_LISTS; i++)
        json_decref(a->lists[i]);
}

static void ask_all(struct doctor *d)
{
    struct asking a = {.doctor = d};

    a.access = (struct stripe_access){.key = &d->config->stripe_secret_key,
                                      .base = d->config->stripe_api_base,
                                      .version = d->config->stripe_api_version,
                                      .rate_per_s = d->config->reconcile_rate_per_s};
    uv_loop_init(&a.loop);
    a.api = stripe_api_open(&a.loop, &a.access);
    ask_next(&a);
    uv_run(&a.loop, UV_RUN_DEFAULT);
    int open = uv_loop_close(&a.loop);
    assert(open == 0);
    judge(&a);
}

void doctor_ask_stripe(struct doctor *d)
{
    const char *key = d->config->stripe_secret_key;

    if (!key) {
        doctor_say(d, DOCTOR_BAD, "key", "STRIPE_SECRET_KEY is not set: the sink needs it");
        return;
    }
    bool live = conf_is_live_key(key);
    if (live && !d->config->stripe_live) {
        doctor_say(d, DOCTOR_BAD, "key",
                   "it is a live key, which moves real money: STRIPE_LIVE=1 allows it");
        return;
    }
    doctor_say(d, DOCTOR_OK, "key", "a %s key, %s mode", *key == 'r' ? "restricted" : "secret",
               live ? "live" : "test");
    ask_all(d);
}
