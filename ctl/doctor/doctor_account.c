/* Stripe's account beside the catalog. Pure. */
#include "common/str.h"
#include "common/stripe/stripe_meter.h"
#include "ctl/doctor/doctor.h"

#include <stdlib.h>
#include <string.h>

/* What webhookd needs to hear; thin events of meters go to a destination of their own. */
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

    json_array_foreach(meters, i, meter) if (strcmp(text_of(meter, "event_name"), event_name) == 0)
        best = stripe_meter_better(best, meter);
    return best;
}

void doctor_judge_meters(struct doctor *d, const json_t *meters)
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

/* Of the active prices. */
static bool has_lookup_key(const json_t *prices, const char *lookup_key)
{
    json_t *price;
    size_t i;

    json_array_foreach(prices, i, price) if (strcmp(text_of(price, "lookup_key"), lookup_key) ==
                                             0) return true;
    return false;
}

static bool has_meter(const json_t *prices, const char *meter)
{
    json_t *price;
    size_t i;

    json_array_foreach(prices, i,
                       price) if (strcmp(text_of(json_object_get(price, "recurring"), "meter"),
                                         meter) == 0) return true;
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
                       "no active price bills the meter of %s: what is sent to it is on no invoice",
                       text_of(metric, "metric"));
    }
}

void doctor_judge_prices(struct doctor *d, const json_t *prices, const json_t *meters)
{
    json_t *plan;
    size_t i;

    json_array_foreach(d->plans, i, plan)
    {
        const char *key = text_of(plan, "lookup_key");
        if (has_lookup_key(prices, key))
            doctor_say(d, DOCTOR_OK, "price", "plan %s is sold by lookup key %s",
                       text_of(plan, "plan"), key);
        else
            doctor_say(
                d, DOCTOR_BAD, "price",
                "plan %s: no active price has lookup key %s, so that its subscriptions are not "
                "known for it: make the price, or give one that key",
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

static const char *first_enabled(const json_t *endpoints)
{
    json_t *endpoint;
    size_t i;

    json_array_foreach(endpoints, i, endpoint) if (strcmp(text_of(endpoint, "status"), "enabled") ==
                                                   0) return text_of(endpoint, "url");
    return NULL;
}

void doctor_judge_endpoints(struct doctor *d, const json_t *endpoints)
{
    static const char check[] = "webhook endpoint";
    struct buf missing = {0};
    const char *url = first_enabled(endpoints);

    for (int i = 0; i < N_EVENTS; i++)
        if (!is_sent(endpoints, EVENTS[i]))
            buf_printf(&missing, "%s%s", missing.length ? ", " : "", EVENTS[i]);
    if (!url)
        doctor_say(
            d, DOCTOR_BAD, check,
            "there is none that is enabled: add one that leads to webhookd's /webhooks/stripe");
    else if (missing.length)
        doctor_say(d, DOCTOR_BAD, check, "no enabled endpoint gets %s: add these events",
                   missing.data);
    else
        doctor_say(d, DOCTOR_OK, check, "%s gets all that is needed", url);
    buf_done(&missing);
}
