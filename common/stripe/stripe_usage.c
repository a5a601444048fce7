#include "common/stripe/stripe_usage.h"

#include "common/contract.h"
#include "common/json_exact.h"
#include "common/str.h"
#include "common/stripe/stripe_meter.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct stripe_usage {
    struct stripe_api *api;
    json_t *meters; /* event name -> the meter */
    /* Of the reading under way. */
    struct reading *reading; /* the caller's */
    int64_t middle_s;
    stripe_hour_fn on_hour;
    bool unreadable; /* one of its numbers */
    stripe_done_fn done;
    void *owner;
};

struct stripe_usage *stripe_usage_new(struct stripe_api *api)
{
    struct stripe_usage *u = xcalloc(1, sizeof *u);
    u->api = api;
    u->meters = json_object();
    return u;
}

void stripe_usage_free(struct stripe_usage *u)
{
    json_decref(u->meters);
    free(u);
}

static void on_listed(void *owner, const struct err *error)
{
    struct stripe_usage *u = owner;
    struct err e;
    if (!error && u->unreadable) {
        err_set(&e, ERR_INPUT, "Stripe's quantity does not fit numeric(38,9)");
        error = &e;
    }
    u->done(u->owner, error);
}

static void take_meter(void *owner, json_t *meter)
{
    struct stripe_usage *u = owner;
    const char *name = json_string_value(json_object_get(meter, "event_name"));
    if (name)
        json_object_set(u->meters, name,
                        stripe_meter_better(json_object_get(u->meters, name), meter));
}

static void begin(struct stripe_usage *u, stripe_done_fn done, void *owner)
{
    u->unreadable = false;
    u->done = done;
    u->owner = owner;
}

void stripe_usage_load(struct stripe_usage *u, stripe_done_fn done, void *owner)
{
    begin(u, done, owner);
    json_object_clear(u->meters);
    stripe_api_list(u->api, "/v1/billing/meters", "", NULL, take_meter, on_listed, u);
}

static const char *meter_id(const struct stripe_usage *u, const struct customer_meter *meter)
{
    return json_string_value(json_object_get(json_object_get(u->meters, meter->event_name), "id"));
}

bool stripe_usage_has_meter(const struct stripe_usage *u, const char *event_name)
{
    return json_object_get(u->meters, event_name) != NULL;
}

int stripe_usage_check_meter(const struct stripe_usage *u, const char *event_name, bool newest,
                             struct err *e)
{
    return stripe_meter_check(json_object_get(u->meters, event_name), event_name, newest, e);
}

int stripe_usage_check(const struct stripe_usage *u, const struct customer_meter *meter,
                       struct err *e)
{
    const char *wanted = stripe_meter_formula(meter->newest);
    const json_t *object = json_object_get(u->meters, meter->event_name);
    const char *formula = json_string_value(
        json_object_get(json_object_get(object, "default_aggregation"), "formula"));
    if (meter->item)
        return 0;
    if (!meter_id(u, meter))
        return err_set(e, ERR_INPUT, "Stripe has no meter with event name %.80s",
                       meter->event_name);
    if (!formula || strcmp(formula, wanted) != 0)
        return err_set(e, ERR_INPUT, "the meter of %.80s has formula %.20s, not %s",
                       meter->event_name, formula ? formula : "none", wanted);
    return 0;
}

/* Usually one item tells the whole time. If there are several, their sums add up. */
static void add_quantity(struct stripe_usage *u, struct reading *reading, const json_t *quantity)
{
    struct dec value;
    if (json_exact_dec(quantity, &value) || dec_add(reading->value, value, &reading->value))
        u->unreadable = true;
    reading->any = true;
}

static void take_summary(void *owner, json_t *summary)
{
    struct stripe_usage *u = owner;
    add_quantity(u, u->reading, json_object_get(summary, "aggregated_value"));
}

static void take_hour(void *owner, json_t *summary)
{
    struct stripe_usage *u = owner;
    struct reading reading = {0};
    const json_t *start = json_object_get(summary, "start_time");
    add_quantity(u, &reading, json_object_get(summary, "aggregated_value"));
    if (!json_is_integer(start))
        u->unreadable = true;
    if (!u->unreadable)
        u->on_hour(u->owner, json_integer_value(start), reading);
}

/* Edges may be null: the first period has no start, one without an end lasts. */
static void take_record(void *owner, json_t *summary)
{
    struct stripe_usage *u = owner;
    const json_t *period = json_object_get(summary, "period");
    const json_t *start = json_object_get(period, "start");
    const json_t *end = json_object_get(period, "end");
    if (json_is_integer(start) && u->middle_s < json_integer_value(start))
        return;
    if (json_is_integer(end) && u->middle_s >= json_integer_value(end))
        return;
    add_quantity(u, u->reading, json_object_get(summary, "total_usage"));
}

static void list_summaries(struct stripe_usage *u, const struct customer_meter *meter,
                           int64_t start_s, int64_t end_s, const char *more, stripe_item_fn on_item)
{
    const char *id = meter_id(u, meter);
    struct buf path = {0};
    struct buf query = {0};
    assert(id && start_s < end_s);
    buf_add_str(&path, "/v1/billing/meters/");
    buf_add_urlencoded(&path, id, strlen(id));
    buf_add_str(&path, "/event_summaries");
    buf_add_str(&query, "customer=");
    buf_add_urlencoded(&query, meter->customer, strlen(meter->customer));
    buf_printf(&query, "&start_time=%" PRId64 "&end_time=%" PRId64 "%s", start_s, end_s, more);
    stripe_api_list(u->api, path.data, query.data, NULL, on_item, on_listed, u);
    buf_done(&path);
    buf_done(&query);
}

static void list_records(struct stripe_usage *u, const char *item)
{
    struct buf path = {0};
    buf_add_str(&path, "/v1/subscription_items/");
    buf_add_urlencoded(&path, item, strlen(item));
    buf_add_str(&path, "/usage_record_summaries");
    stripe_api_list(u->api, path.data, "", STRIPE_VERSION_LEGACY, take_record, on_listed, u);
    buf_done(&path);
}

void stripe_usage_read(struct stripe_usage *u, const struct customer_meter *meter, int64_t start_s,
                       int64_t end_s, struct reading *reading, stripe_done_fn done, void *owner)
{
    begin(u, done, owner);
    *reading = (struct reading){0};
    u->reading = reading;
    u->middle_s = start_s + (end_s - start_s) / 2;
    if (meter->item)
        list_records(u, meter->item);
    else
        list_summaries(u, meter, start_s, end_s, "", take_summary);
}

void stripe_usage_hours(struct stripe_usage *u, const struct customer_meter *meter, int64_t start_s,
                        int64_t end_s, stripe_hour_fn on_hour, stripe_done_fn done, void *owner)
{
    begin(u, done, owner);
    u->on_hour = on_hour;
    list_summaries(u, meter, start_s, end_s, "&value_grouping_window=hour", take_hour);
}

bool stripe_usage_refused_this(const struct err *error)
{
    return stripe_api_refused_this(error) || (error->kind == ERR_INPUT && error->code == 0);
}
