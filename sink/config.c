/* Settings of the stage: the table, and what it cannot say. */
#include "sink/config.h"

#include "common/contract.h"

#include <arpa/inet.h>
#include <string.h>

enum { RATE_TEST_PER_S = 20, RATE_LIVE_PER_S = 900, LOOPBACK_NET = 127, HOST_SIZE = 64 };

#define FIELD(name) offsetof(struct config, name)

/* clang-format off */
const struct conf_setting SINK_SETTINGS[] = {
    CONF_DATABASE_URL(struct config, base),
    {"STRIPE_SECRET_KEY", CONF_STR, FIELD(stripe_secret_key), .required = true, .secret = true,
     .help = "Stripe's API key, sk_ or rk_"},
    {"STRIPE_LIVE", CONF_BOOL, FIELD(stripe_live), .fallback = "0", .help = "1 allows live keys"},
    {"STRIPE_API_BASE", CONF_STR, FIELD(stripe_api_base), .fallback = "https://api.stripe.com",
     .help = "address of Stripe's API; http:// only to this machine"},
    {"STRIPE_API_VERSION", CONF_STR, FIELD(stripe_api_version), .fallback = STRIPE_VERSION_CURRENT,
     .help = "Stripe-Version of meter events"},
    {"SINK_INTERVAL_S", CONF_INT, FIELD(interval_s), .fallback = "300", .unit = "s", .min = 1,
     .max = 86400, .help = "time between two claims, aligned to the clock"},
    {"SINK_RATE_PER_S", CONF_INT, FIELD(rate_per_s), .fallback = "0", .unit = "calls", .min = 0,
     .max = 10000, .help = "calls a second; 0: 20 for test keys, 900 for live keys"},
    {"SINK_MAX_IN_FLIGHT", CONF_INT, FIELD(max_in_flight), .fallback = "32", .unit = "calls",
     .min = 1, .max = 1024, .help = "calls side by side"},
    {"SINK_TIMEOUT_MS", CONF_INT, FIELD(timeout_ms), .fallback = "30000", .unit = "ms",
     .min = 100, .max = 80000, .help = "time that a call may take; then its outcome is unknown"},
    CONF_OPS_LISTEN(struct config, base, "127.0.0.1:9102"),
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

/* A stray newline from a file would break the header that it goes into. */
static bool is_token(const char *text)
{
    for (; *text; text++)
        if (*text <= ' ' || *text > '~')
            return false;
    return true;
}

static bool is_live(const char *key)
{
    return starts_with(key, "sk_live_") || starts_with(key, "rk_live_");
}

static int check_key(const struct config *c)
{
    const char *key = c->stripe_secret_key;
    if (!key)
        return 0;
    if (!is_token(key))
        return refuse("STRIPE_SECRET_KEY", "it holds a blank or a control character");
    if (is_live(key) && !c->stripe_live)
        return refuse("STRIPE_SECRET_KEY", "a live key needs STRIPE_LIVE=1");
    return 0;
}

/* By address, not by how it begins: 127.example.com is not ours. */
static bool is_loopback(const char *authority)
{
    char host[HOST_SIZE];
    struct in_addr address;
    if (starts_with(authority, "[::1]"))
        return authority[5] == '\0' || authority[5] == ':' || authority[5] == '/';
    size_t length = strcspn(authority, ":/");
    if (length == 0 || length >= sizeof host)
        return false;
    memcpy(host, authority, length);
    host[length] = '\0';
    if (!strcmp(host, "localhost"))
        return true;
    return inet_pton(AF_INET, host, &address) == 1 && (ntohl(address.s_addr) >> 24) == LOOPBACK_NET;
}

static int check_base(const char *base)
{
    if (!base)
        return 0;
    if (!is_token(base) || strpbrk(base, "@?#"))
        return refuse("STRIPE_API_BASE", "it holds more than an address");
    if (starts_with(base, "https://"))
        return base[8] == '\0' ? refuse("STRIPE_API_BASE", "it names no host") : 0;
    if (!starts_with(base, "http://"))
        return refuse("STRIPE_API_BASE", "not an https:// address");
    /* The key goes over this connection. */
    return is_loopback(base + 7) ? 0
                                 : refuse("STRIPE_API_BASE", "http:// is only for this machine");
}

int config_check(const void *config)
{
    const struct config *c = config;
    int faults = check_key(c) + check_base(c->stripe_api_base);
    if (c->stripe_api_version && !is_token(c->stripe_api_version))
        faults += refuse("STRIPE_API_VERSION", "it holds a blank or a control character");
    return faults;
}

int64_t config_rate_per_s(const struct config *c)
{
    if (c->rate_per_s > 0)
        return c->rate_per_s;
    return is_live(c->stripe_secret_key) ? RATE_LIVE_PER_S : RATE_TEST_PER_S;
}
