#include "sink/config.h"

#include "common/contract.h"
#include "common/str.h"

#include <string.h>

enum { RATE_TEST_PER_S = 20, RATE_LIVE_PER_S = 900 };

/* Hosts of Stripe's own clients (stripe-node, src/Types.ts). */
#define STRIPE_API_BASE          "https://api.stripe.com"
#define STRIPE_METER_EVENTS_BASE "https://meter-events.stripe.com"

#define FIELD(name) offsetof(struct config, name)

/* The minute of the day of HH:MM, or -1. */
static int64_t minute_of_day(const char *text)
{
    int64_t hour = 0;
    int64_t minute = 0;
    if (strlen(text) != 5 || text[2] != ':' || str_to_i64(text, 2, &hour) ||
        str_to_i64(text + 3, 2, &minute))
        return -1;
    return hour < 0 || hour > 23 || minute < 0 || minute > 59 ? -1 : hour * 60 + minute;
}

static int check_time_of_day(const char *text, struct err *e)
{
    return minute_of_day(text) < 0 ? err_set(e, ERR_CONFIG, "must be HH:MM, from 00:00 to 23:59")
                                   : 0;
}

/* clang-format off */
const struct conf_setting SINK_SETTINGS[] = {
    CONF_DATABASE_URL(struct config, base),
    CONF_REDIS_URL(struct config, base),
    {"STRIPE_SECRET_KEY", CONF_STR, FIELD(stripe_secret_key), .required = true, .secret = true,
     .check = conf_check_stripe_key, .check_change = conf_check_stripe_key_change,
     .help = "Stripe's API key, sk_ or rk_"},
    {"STRIPE_LIVE", CONF_BOOL, FIELD(stripe_live), .fallback = "0", .help = "1 allows live keys"},
    {"STRIPE_API_BASE", CONF_STR, FIELD(stripe_api_base), .fallback = STRIPE_API_BASE,
     .check = conf_check_stripe_base, .help = "address of Stripe's API; http:// only to this machine"},
    {"STRIPE_METER_EVENTS_BASE", CONF_STR, FIELD(stripe_meter_events_base),
     .check = conf_check_stripe_base, .help = "address of the meter event stream; default "
     STRIPE_METER_EVENTS_BASE ", or STRIPE_API_BASE where that is not Stripe's own"},
    {"STRIPE_API_VERSION", CONF_STR, FIELD(stripe_api_version), .fallback = STRIPE_VERSION_CURRENT,
     .check = conf_check_token, .help = "Stripe-Version; usage records have their own, " STRIPE_VERSION_LEGACY},
    {"SINK_INTERVAL_S", CONF_INT, FIELD(interval_s), .fallback = "300", .unit = "s", .min = 1,
     .max = 86400, .help = "time between two claims, aligned to the clock; below 60, those of one "
     "minute go to minutes beside it"},
    {"SINK_RATE_PER_S", CONF_INT, FIELD(rate_per_s), .fallback = "0", .unit = "calls", .min = 0,
     .max = 10000, .help = "calls a second; 0: 20 for test keys, 900 for live keys"},
    {"SINK_MAX_IN_FLIGHT", CONF_INT, FIELD(max_in_flight), .fallback = "32", .unit = "calls",
     .min = 1, .max = 1024, .help = "calls side by side"},
    {"SINK_TIMEOUT_MS", CONF_INT, FIELD(timeout_ms), .fallback = "30000", .unit = "ms",
     .min = 100, .max = 80000, .help = "time that a call may take; then its outcome is unknown"},
    {"SINK_RECONCILE_AT", CONF_STR, FIELD(reconcile_at), .fallback = "03:17",
     .check = check_time_of_day, .help = "when all is compared with Stripe, nightly; HH:MM, UTC"},
    {"SINK_RECONCILE_RATE_PER_S", CONF_INT, FIELD(reconcile_rate_per_s), .fallback = "10",
     .unit = "calls", .min = 1, .max = 1000, .help = "calls a second while comparing with Stripe"},
    CONF_OPS_LISTEN(struct config, base, "127.0.0.1:9102"),
    CONF_LOG(struct config, base),
    {.name = NULL}};
/* clang-format on */

int config_check(const void *config)
{
    const struct config *c = config;
    return conf_refuse_live_key(c->stripe_secret_key, c->stripe_live);
}

int64_t config_rate_per_s(const struct config *c)
{
    if (c->rate_per_s > 0)
        return c->rate_per_s;
    return conf_is_live_key(c->stripe_secret_key) ? RATE_LIVE_PER_S : RATE_TEST_PER_S;
}

/* The length without a slash at the end. */
static size_t base_length(const char *base)
{
    size_t length = strlen(base);
    return length > 0 && base[length - 1] == '/' ? length - 1 : length;
}

const char *config_meter_events_base(const struct config *c)
{
    size_t length = base_length(c->stripe_api_base);
    bool is_stripe =
        length == strlen(STRIPE_API_BASE) && !strncmp(c->stripe_api_base, STRIPE_API_BASE, length);
    if (c->stripe_meter_events_base)
        return c->stripe_meter_events_base;
    return is_stripe ? STRIPE_METER_EVENTS_BASE : c->stripe_api_base;
}

char *config_url(const char *base, const char *path)
{
    return xasprintf("%.*s%s", (int)base_length(base), base, path);
}

int64_t config_reconcile_minute(const struct config *c)
{
    return minute_of_day(c->reconcile_at);
}
