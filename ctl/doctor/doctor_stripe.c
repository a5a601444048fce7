/* Checks Stripe: the key, what it may read, and whether Stripe's account fits the catalog.
 *
 * The lists are read one after the other, on a loop that ends with the last. Failure modes: a
 * list that this key may not read is reported, and the others go on. Without an answer, or if
 * the key is refused, nothing else is asked. */
#include "common/conf_check.h"
#include "common/str.h"
#include "common/stripe/stripe_api.h"
#include "common/stripe/stripe_meter.h"
#include "ctl/doctor/doctor.h"
#include "ctl/report.h"
#include "ctl/submissions/stripe_run.h"

#include <assert.h>
#include <string.h>

/* Stripe's account beside the catalog. Pure. */

/* The events that webhookd needs. Thin events of meters go to another kind of destination. */
static const char *const EVENTS[] = {
    "customer.created",
    "customer.updated",
    "customer.deleted",
    "customer.subscription.created",
    "customer.subscription.updated",
    "customer.subscription.deleted",
    "customer.subscription.paused",
    "customer.subscription.resumed",
    "invoice.created",
    "invoice.finalized",
    "invoice.paid",
    "invoice.payment_failed",
    "invoice.voided",
};
enum { N_EVENTS = sizeof EVENTS / sizeof *EVENTS };

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static json_t *meter_of(const json_t *meters, const char *event_name)
{
    json_t *best = NULL;
    json_t *meter;
    size_t i;
    json_array_foreach(meters, i, meter)
    {
        if (strcmp(text_of(meter, "event_name"), event_name) == 0)
            best = stripe_meter_better(best, meter);
    }
    return best;
}

static void judge_meters(struct doctor *d, const json_t *meters)
{
    struct err e;
    json_t *metric;
    size_t i;
    json_array_foreach(d->metrics, i, metric)
    {
        const char *event_name = text_of(metric, "event_name");
        bool newest = json_is_true(json_object_get(metric, "newest"));
        if (stripe_meter_check(meter_of(meters, event_name), event_name, newest, &e))
            doctor_say(d, DOCTOR_BAD, "meter", "%s: %s", text_of(metric, "metric"), e.text);
        else
            doctor_say(d, DOCTOR_OK, "meter", "%s goes to %s, formula %s",
                       text_of(metric, "metric"), event_name, stripe_meter_formula(newest));
    }
}

/* prices: the active ones. */
static bool has_meter(const json_t *prices, const char *meter)
{
    json_t *price;
    size_t i;
    json_array_foreach(prices, i, price)
    {
        if (strcmp(text_of(json_object_get(price, "recurring"), "meter"), meter) == 0)
            return true;
    }
    return false;
}

static void judge_metered(struct doctor *d, const json_t *prices, const json_t *meters)
{
    json_t *metric;
    size_t i;
    json_array_foreach(d->metrics, i, metric)
    {
        json_t *meter = meter_of(meters, text_of(metric, "event_name"));
        if (meter && !has_meter(prices, text_of(meter, "id")))
            doctor_say(d, DOCTOR_WARN, "price",
                       "no active price uses the meter of %s, so its usage is on no invoice: make "
                       "a metered price",
                       text_of(metric, "metric"));
    }
}

static void judge_prices(struct doctor *d, const json_t *prices, const json_t *meters)
{
    json_t *plan;
    size_t i;
    json_array_foreach(d->plans, i, plan)
    {
        const char *key = text_of(plan, "lookup_key");
        if (report_find(prices, "lookup_key", key))
            doctor_say(d, DOCTOR_OK, "price", "plan %s is sold by lookup key %s",
                       text_of(plan, "plan"), key);
        else
            doctor_say(d, DOCTOR_BAD, "price",
                       "plan %s: no active price has the lookup key %s, so its subscriptions "
                       "cannot be recognized: make such a price, or give one that key",
                       text_of(plan, "plan"), key);
    }
    if (meters)
        judge_metered(d, prices, meters);
}

static bool is_sent(const json_t *endpoints, const char *event)
{
    json_t *endpoint;
    json_t *enabled;
    size_t i;
    size_t k;
    json_array_foreach(endpoints, i, endpoint)
    {
        if (strcmp(text_of(endpoint, "status"), "enabled") != 0)
            continue;
        json_array_foreach(json_object_get(endpoint, "enabled_events"), k, enabled)
        {
            const char *name = json_string_value(enabled);
            if (name && (strcmp(name, "*") == 0 || strcmp(name, event) == 0))
                return true;
        }
    }
    return false;
}

static void judge_endpoints(struct doctor *d, const json_t *endpoints)
{
    static const char check[] = "webhook endpoint";
    struct buf missing = {0};
    const json_t *enabled = report_find(endpoints, "status", "enabled");
    for (int i = 0; i < N_EVENTS; i++)
        if (!is_sent(endpoints, EVENTS[i]))
            buf_printf(&missing, "%s%s", missing.length ? ", " : "", EVENTS[i]);
    if (!enabled)
        doctor_say(d, DOCTOR_BAD, check,
                   "no endpoint is enabled: add one that leads to webhookd's /webhooks/stripe");
    else if (missing.length)
        doctor_say(d, DOCTOR_BAD, check, "no enabled endpoint receives %s: add these events to one",
                   missing.data);
    else
        doctor_say(d, DOCTOR_OK, check, "%s receives all events that are needed",
                   text_of(enabled, "url"));
    buf_done(&missing);
}

/* Asking. */

enum { METERS, PRICES, ENDPOINTS, CUSTOMERS, SUBSCRIPTIONS, N_LISTS };
enum { FORBIDDEN = 403 };

/* Of customers and subscriptions only the permission matters, so the query finds none. */
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

static void on_listed(void *owner, const struct err *error)
{
    struct asking *a = owner;
    if (error) {
        json_decref(a->lists[a->at]);
        a->lists[a->at] = NULL;
    }
    bool is_forbidden = error && error->code == FORBIDDEN;
    /* An err may be too short for all that Stripe says. */
    const char *words = error ? stripe_api_words(a->api) : NULL;
    const char *said = words ? words : error ? error->text : "";
    if (is_forbidden)
        doctor_say(a->doctor, DOCTOR_BAD, "permission",
                   "%s: Stripe answered 403: %s; give the key the permission \"%s\"",
                   LISTS[a->at].name, said, LISTS[a->at].permission);
    else if (error)
        doctor_say(a->doctor, DOCTOR_BAD, "stripe", "%s: %s", LISTS[a->at].name, said);
    if ((error && !is_forbidden) || ++a->at == N_LISTS)
        stripe_api_close(a->api, on_closed, a);
    else
        ask_next(a);
}

static void ask_next(struct asking *a)
{
    a->lists[a->at] = json_array();
    stripe_api_list(a->api, LISTS[a->at].path, LISTS[a->at].query, NULL, on_item, on_listed, a);
}

static void judge_all(struct asking *a)
{
    if (a->at == N_LISTS && a->doctor->bad == 0)
        doctor_say(
            a->doctor, DOCTOR_OK, "permission",
            "the key may read all that is needed; whether it may write shows with the first event");
    if (a->lists[METERS])
        judge_meters(a->doctor, a->lists[METERS]);
    if (a->lists[PRICES])
        judge_prices(a->doctor, a->lists[PRICES], a->lists[METERS]);
    if (a->lists[ENDPOINTS])
        judge_endpoints(a->doctor, a->lists[ENDPOINTS]);
    for (int i = 0; i < N_LISTS; i++)
        json_decref(a->lists[i]);
}

static void ask_all(struct doctor *d)
{
    struct asking a = {.doctor = d,
                       .access = stripe_run_access(d->config, d->config->reconcile_rate_per_s)};
    uv_loop_init(&a.loop);
    a.api = stripe_api_open(&a.loop, &a.access);
    ask_next(&a);
    uv_run(&a.loop, UV_RUN_DEFAULT);
    int open = uv_loop_close(&a.loop);
    assert(open == 0);
    judge_all(&a);
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
                   "this is a live key, which moves real money: set STRIPE_LIVE=1 to allow it");
        return;
    }
    doctor_say(d, DOCTOR_OK, "key", "a %s key, %s mode", *key == 'r' ? "restricted" : "secret",
               live ? "live" : "test");
    ask_all(d);
}
