/* docs.stripe.com/api/billing/meter/object. Our events carry stripe_customer_id and value, which
 * are the keys of a meter unless others are asked for. */
#include "common/stripe/stripe_meter.h"

#include <string.h>

#define CUSTOMER_KEY "stripe_customer_id"
#define VALUE_KEY    "value"

static const char *text_in(const json_t *meter, const char *group, const char *name)
{
    const char *text = json_string_value(json_object_get(json_object_get(meter, group), name));
    return text ? text : "none";
}

const char *stripe_meter_formula(bool newest)
{
    return newest ? "last" : "sum";
}

static bool is_active(const json_t *meter)
{
    const char *status = json_string_value(json_object_get(meter, "status"));
    return status && !strcmp(status, "active");
}

json_t *stripe_meter_better(json_t *a, json_t *b)
{
    if (!a || !b)
        return a ? a : b;
    return is_active(b) && !is_active(a) ? b : a;
}

static int check_key(const json_t *meter, const char *event_name, const char *group,
                     const char *wanted, struct err *e)
{
    const char *key = text_in(meter, group, "event_payload_key");
    if (!strcmp(key, wanted))
        return 0;
    return err_set(e, ERR_INPUT,
                   "the meter of %.80s takes %s by the key %.40s, not %s: it cannot be changed, so "
                   "make one with another event name",
                   event_name, group, key, wanted);
}

int stripe_meter_check(const json_t *meter, const char *event_name, bool newest, struct err *e)
{
    const char *formula = text_in(meter, "default_aggregation", "formula");
    const char *wanted = stripe_meter_formula(newest);
    const char *window = json_string_value(json_object_get(meter, "event_time_window"));
    if (!meter)
        return err_set(
            e, ERR_INPUT,
            "Stripe has no meter with event name %.80s in the mode of this key: make one "
            "with formula %s",
            event_name, wanted);
    if (!is_active(meter))
        return err_set(e, ERR_INPUT, "the meter of %.80s is archived: reactivate it", event_name);
    if (strcmp(formula, wanted) != 0)
        return err_set(
            e, ERR_INPUT,
            "the meter of %.80s has formula %.20s, not %s: it cannot be changed, so make "
            "one with another event name",
            event_name, formula, wanted);
    if (window)
        return err_set(e, ERR_INPUT,
                       "the meter of %.80s has event_time_window %.20s, in which the newest event "
                       "replaces the others: it cannot be changed, so make one with another event "
                       "name",
                       event_name, window);
    if (check_key(meter, event_name, "customer_mapping", CUSTOMER_KEY, e))
        return -1;
    return check_key(meter, event_name, "value_settings", VALUE_KEY, e);
}
