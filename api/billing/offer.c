#include "api/billing/offer.h"

#include "common/stripe/objects/stripe_event.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_yearly(const char *interval)
{
    return interval && !strcmp(interval, "year");
}

static const char *base_key(const json_t *plan)
{
    const char *key = stripe_text(plan, "lookup_key");
    return key ? key : stripe_text(plan, "plan");
}

/* The yearly fee of a plan that is yearly itself has the plain key. */
static char *fee_key(const json_t *plan, const char *interval)
{
    const char *own = stripe_text(plan, "interval");
    bool year = is_yearly(interval) && !is_yearly(own);
    return xasprintf("%s%s", base_key(plan), year ? "_year" : "");
}

static char *usage_key(const json_t *plan, const char *metric, bool year)
{
    return xasprintf("%s_%s%s", base_key(plan), metric, year ? "_year" : "");
}

json_t *offer_lookup_keys(const json_t *plan, const char *interval)
{
    size_t i;
    const json_t *usage;
    json_t *keys = json_array();
    char *key = fee_key(plan, interval);
    json_array_append_new(keys, json_string(key));
    free(key);
    json_array_foreach(json_object_get(plan, "usage"), i, usage)
    {
        for (int year = 0; year < (is_yearly(interval) ? 2 : 1); year++) {
            key = usage_key(plan, stripe_text(usage, "metric"), year);
            json_array_append_new(keys, json_string(key));
            free(key);
        }
    }
    return keys;
}

static const json_t *find(const json_t *prices, const char *lookup_key)
{
    size_t i;
    const json_t *price;
    json_array_foreach(prices, i, price)
    {
        const char *key = stripe_text(price, "lookup_key");
        if (key && !strcmp(key, lookup_key) && json_is_true(json_object_get(price, "active")) &&
            stripe_is_id(stripe_text(price, "id")))
            return price;
    }
    return NULL;
}

static struct offer_price read_price(const json_t *price, const char *metric)
{
    const json_t *recurring = json_object_get(price, "recurring");
    const char *interval = stripe_text(recurring, "interval");
    const char *currency = stripe_text(price, "currency");
    return (struct offer_price){.id = stripe_text(price, "id"),
                                .metric = metric,
                                .meter = stripe_text(recurring, "meter"),
                                .currency = currency ? currency : "",
                                .interval = interval ? interval : "month",
                                .interval_count = stripe_integer(recurring, "interval_count", 1),
                                .amount = stripe_integer(price, "unit_amount", -1)};
}

static const json_t *find_usage(const json_t *plan, const char *metric, const char *interval,
                                const json_t *prices)
{
    const json_t *found = NULL;
    for (int year = is_yearly(interval) ? 1 : 0; year >= 0 && !found; year--) {
        char *key = usage_key(plan, metric, year);
        found = find(prices, key);
        free(key);
    }
    return found;
}

/* Usage that costs nothing needs no price; usage that does must have one, or it would be given. */
static int read_usage(struct offer *out, const json_t *plan, const char *interval,
                      const json_t *prices, char missing[80])
{
    size_t i;
    const json_t *usage;
    json_array_foreach(json_object_get(plan, "usage"), i, usage)
    {
        const char *metric = stripe_text(usage, "metric");
        const json_t *price = find_usage(plan, metric, interval, prices);
        if (price && out->usage_n < OFFER_USAGE_MAX) {
            out->usage[out->usage_n++] = read_price(price, metric);
        } else if (price || json_is_true(json_object_get(usage, "is_billed"))) {
            (void)snprintf(missing, 80, "%.30s_%.40s", base_key(plan), metric);
            return -1;
        }
    }
    return 0;
}

int offer_read(struct offer *out, const json_t *plan, const char *interval, const json_t *prices,
               char missing[80])
{
    char *key = fee_key(plan, interval);
    const json_t *fee = find(prices, key);
    *out = (struct offer){.plan = stripe_text(plan, "plan")};
    if (!fee)
        (void)snprintf(missing, 80, "%.79s", key);
    free(key);
    if (!fee)
        return -1;
    out->fee = read_price(fee, NULL);
    return read_usage(out, plan, interval, prices, missing);
}
