#include "webhookd/config.h"

#include "common/contract.h"

#include <string.h>

/* Stripe allows 25 (test) and 100 (live) in all, and 25 for each endpoint of the API
 * (docs.stripe.com/rate-limits). */
enum { RATE_TEST_PER_S = 20, RATE_LIVE_PER_S = 40 };

#define FIELD(name) offsetof(struct config, name)

static int check_paths(const char *list, struct err *e)
{
    if (conf_check_token(list, e))
        return -1;
    for (const char *path = list; path; path = strchr(path, ',') ? strchr(path, ',') + 1 : NULL)
        if (*path != '/')
            return err_set(e, ERR_CONFIG, "each of its parts must begin with /");
    return 0;
}

/* clang-format off */
const struct conf_setting WEBHOOKD_SETTINGS[] = {
    CONF_DATABASE_URL(struct config, base),
    CONF_REDIS_URL(struct config, base),
    {"WEBHOOKD_LISTEN", CONF_LISTEN, FIELD(listen), .fallback = "127.0.0.1:8080",
     .help = "where webhooks are served; port 0 takes a free one"},
    {"WEBHOOKD_PATH", CONF_STR, FIELD(paths), .fallback = "/webhooks/stripe", .check = check_paths,
     .help = "paths that Stripe may POST to, comma separated"},
    {"WEBHOOKD_BODY_MAX_KB", CONF_INT, FIELD(body_max_kb), .fallback = "1024", .unit = "KiB", .min = 16,
     .max = 16384, .help = "the largest event that is taken"},
    {"STRIPE_WEBHOOK_SECRET", CONF_STR, FIELD(webhook_secrets), .required = true, .secret = true,
     .check = conf_check_webhook_secrets,
     .help = "signing secrets of the endpoint, comma separated; any of them verifies"},
    {"STRIPE_SECRET_KEY", CONF_STR, FIELD(stripe_secret_key), .secret = true,
     .check = conf_check_stripe_key, .check_change = conf_check_stripe_key_change,
     .help = "fetches the object of each event; without it events are ordered by their time"},
    {"STRIPE_API_BASE", CONF_STR, FIELD(stripe_api_base), .fallback = "https://api.stripe.com",
     .check = conf_check_stripe_base, .help = "address of Stripe's API; http:// only to this machine"},
    {"STRIPE_API_VERSION", CONF_STR, FIELD(stripe_api_version), .fallback = STRIPE_VERSION_CURRENT,
     .check = conf_check_token, .help = "version of the API to fetch objects in"},
    {"STRIPE_LIVE", CONF_BOOL, FIELD(stripe_live), .fallback = "0",
     .help = "1: allow live keys, and take live events instead of test events"},
    {"WEBHOOKD_RATE_PER_S", CONF_INT, FIELD(rate_per_s), .fallback = "0", .unit = "calls", .min = 0,
     .max = 1000, .help = "calls to Stripe a second; 0: 20 for test keys, 40 for live keys"},
    {"WEBHOOKD_WORKERS", CONF_INT, FIELD(workers), .fallback = "2", .min = 0, .max = 16,
     .help = "batches of events that are worked at the same time; 0: events are stored only, and "
             "another webhookd works them"},
    {"WEBHOOKD_HEAL_S", CONF_INT, FIELD(heal_s), .fallback = "60", .unit = "s", .min = 1, .max = 3600,
     .help = "time between two sweeps over all limits in the quota cache"},
    {"CATCH_UP_INTERVAL_S", CONF_INT, FIELD(catch_up_interval_s), .fallback = "3600", .unit = "s",
     .min = 0, .max = 86400,
     .help = "time between two looks for events that were never delivered, with a key; 0: none"},
    {"WEBHOOK_PAYLOAD_KEEP_DAYS", CONF_INT, FIELD(payload_keep_days), .fallback = "30",
     .unit = "days", .min = 1, .max = 3650, .help = "how long payloads of worked events are kept"},
    CONF_OPS_LISTEN(struct config, base, "127.0.0.1:9103"),
    CONF_LOG(struct config, base),
    {.name = NULL}};
/* clang-format on */

int webhookd_config_check(const void *config)
{
    const struct config *c = config;
    int faults = conf_refuse_live_key(c->stripe_secret_key, c->stripe_live);
    if (c->stripe_live && c->stripe_api_base && strncmp(c->stripe_api_base, "https://", 8) != 0)
        faults += conf_refuse("STRIPE_API_BASE", "STRIPE_LIVE=1 needs https://");
    return faults;
}

int64_t webhookd_rate_per_s(const struct config *c)
{
    if (c->rate_per_s > 0)
        return c->rate_per_s;
    return conf_is_live_key(c->stripe_secret_key) ? RATE_LIVE_PER_S : RATE_TEST_PER_S;
}
