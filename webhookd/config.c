/* Settings of the stage: the table, and what it cannot say. */
#include "webhookd/config.h"

#include "common/contract.h"
#include "common/log.h"

#include <string.h>

#define FIELD(name) offsetof(struct config, name)

/* clang-format off */
const struct conf_setting WEBHOOKD_SETTINGS[] = {
    CONF_DATABASE_URL(struct config, base),
    CONF_REDIS_URL(struct config, base),
    {"WEBHOOKD_LISTEN", CONF_LISTEN, FIELD(listen), .fallback = "127.0.0.1:8080",
     .help = "where POST /webhooks/stripe is served; port 0 takes a free one"},
    {"STRIPE_WEBHOOK_SECRET", CONF_STR, FIELD(webhook_secrets), .required = true, .secret = true,
     .help = "signing secrets of the endpoint, comma separated; any of them verifies"},
    {"STRIPE_SECRET_KEY", CONF_STR, FIELD(stripe_secret_key), .secret = true,
     .help = "to fetch an event's object anew; without it events are ordered by their time"},
    {"STRIPE_API_BASE", CONF_STR, FIELD(stripe_api_base), .fallback = "https://api.stripe.com",
     .help = "address of Stripe's API"},
    {"STRIPE_API_VERSION", CONF_STR, FIELD(stripe_api_version), .fallback = STRIPE_VERSION_CURRENT,
     .help = "version that objects are fetched in"},
    {"STRIPE_LIVE", CONF_BOOL, FIELD(stripe_live), .fallback = "0",
     .help = "1 allows live keys and takes live events instead of test events"},
    {"WEBHOOKD_WORKERS", CONF_INT, FIELD(workers), .fallback = "2", .min = 1, .max = 16,
     .help = "events worked side by side"},
    {"WEBHOOKD_HEAL_S", CONF_INT, FIELD(heal_s), .fallback = "60", .unit = "s", .min = 1, .max = 3600,
     .help = "between two rewritings of all limits in the quota cache"},
    {"WEBHOOK_PAYLOAD_KEEP_DAYS", CONF_INT, FIELD(payload_keep_days), .fallback = "30",
     .unit = "days", .min = 1, .max = 3650, .help = "how long bodies of worked events are kept"},
    CONF_OPS_LISTEN(struct config, base, "127.0.0.1:9103"),
    CONF_LOG(struct config, base),
    {.name = NULL}};
/* clang-format on */

static int refuse(const char *setting, const char *why)
{
    log_error("setting_refused", LOG_STR("setting", setting), LOG_MSG(why));
    return 1;
}

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* Printable ASCII without blanks: a stray newline from a file would break the header it goes into.
 */
static bool is_token(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static int check_secrets(const char *list)
{
    if (!list)
        return 0;
    if (!is_token(list))
        return refuse("STRIPE_WEBHOOK_SECRET", "it holds a blank or a control character");
    bool empty_part = list[0] == ',' || list[strlen(list) - 1] == ',' || strstr(list, ",,");
    /* An empty secret would let anybody sign. */
    return empty_part ? refuse("STRIPE_WEBHOOK_SECRET", "one of its parts is empty") : 0;
}

static int check_key(const struct config *c)
{
    const char *key = c->stripe_secret_key;
    if (!key)
        return 0;
    if (!is_token(key))
        return refuse("STRIPE_SECRET_KEY", "it holds a blank or a control character");
    bool live = starts_with(key, "sk_live_") || starts_with(key, "rk_live_");
    if (live && !c->stripe_live)
        return refuse("STRIPE_SECRET_KEY", "a live key needs STRIPE_LIVE=1");
    return 0;
}

static int check_api(const struct config *c)
{
    int faults = 0;
    if (c->stripe_api_base) {
        bool tls = starts_with(c->stripe_api_base, "https://");
        if (!tls && !starts_with(c->stripe_api_base, "http://"))
            faults += refuse("STRIPE_API_BASE", "not an http:// or https:// address");
        else if (!tls && c->stripe_live)
            faults += refuse("STRIPE_API_BASE", "STRIPE_LIVE=1 needs https://");
    }
    if (c->stripe_api_version && !is_token(c->stripe_api_version))
        faults += refuse("STRIPE_API_VERSION", "it holds a blank or a control character");
    return faults;
}

int webhookd_config_check(const void *config)
{
    const struct config *c = config;
    return check_secrets(c->webhook_secrets) + check_key(c) + check_api(c);
}
