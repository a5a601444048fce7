#include "api/config.h"

#include "common/contract.h"

#include <string.h>

#define FIELD(name) offsetof(struct config, name)

/* clang-format off */
const struct conf_setting API_SETTINGS[] = {
    CONF_DATABASE_URL(struct config, base),
    CONF_REDIS_URL(struct config, base),
    {"API_LISTEN", CONF_LISTEN, FIELD(listen), .fallback = "127.0.0.1:8090",
     .help = "where the API is served, behind the proxy that has the certificate; port 0 takes a free one"},
    {"API_RATE_PER_S", CONF_INT, FIELD(rate_per_s), .fallback = "100", .unit = "requests", .min = 1, .max = 1000000,
     .help = "requests of one key a second, by each process; beyond them: 429"},
    {"API_DB_CONNECTIONS", CONF_INT, FIELD(db_connections), .fallback = "8", .min = 2, .max = 64,
     .help = "connections to PostgreSQL that requests share"},
    {"API_CACHE_MS", CONF_INT, FIELD(cache_ms), .fallback = "200", .unit = "ms", .min = 0, .max = 10000,
     .help = "how long what was read of a tenant's usage serves for others who ask; 0: it is read each time"},
    {"API_BODY_MAX_KB", CONF_INT, FIELD(body_max_kb), .fallback = "4096", .unit = "KiB", .min = 64, .max = 16384,
     .help = "the largest body of usage that is taken; of other requests 64 KiB are"},
    {"API_PORTAL_TOKEN_S", CONF_INT, FIELD(portal_token_s), .fallback = "900", .unit = "s", .min = 60, .max = 86400,
     .help = "how long a portal token holds"},
    {"STRIPE_SECRET_KEY", CONF_STR, FIELD(stripe_secret_key), .secret = true,
     .check = conf_check_stripe_key, .check_change = conf_check_stripe_key_change,
     .help = "for what is done at Stripe: customers, checkouts, subscriptions; without it these calls answer 503"},
    {"STRIPE_API_BASE", CONF_STR, FIELD(stripe_api_base), .fallback = "https://api.stripe.com",
     .check = conf_check_stripe_base, .help = "address of Stripe's API; http:// only to this machine"},
    {"STRIPE_API_VERSION", CONF_STR, FIELD(stripe_api_version), .fallback = STRIPE_VERSION_CURRENT,
     .check = conf_check_token, .help = "version of Stripe's API"},
    {"STRIPE_LIVE", CONF_BOOL, FIELD(stripe_live), .fallback = "0", .help = "1: allow live keys"},
    {"API_STRIPE_RATE_PER_S", CONF_INT, FIELD(stripe_rate_per_s), .fallback = "0", .unit = "calls", .min = 0,
     .max = 1000, .help = "calls to Stripe a second; 0: 20 for test keys, 40 for live keys"},
    {"API_PDF_MAX_KB", CONF_INT, FIELD(pdf_max_kb), .fallback = "16384", .unit = "KiB", .min = 64, .max = 262144,
     .help = "the largest PDF of an invoice that is passed on"},
    {"API_ALLOW_LOCAL_PDF", CONF_BOOL, FIELD(allow_local_pdf), .fallback = "0",
     .help = "1: PDFs may come from this machine, also by http://, as those of a sandbox do"},
    CONF_OPS_LISTEN(struct config, base, "127.0.0.1:9104"),
    CONF_LOG(struct config, base),
    {.name = NULL}};
/* clang-format on */

int api_config_check(const void *config)
{
    const struct config *c = config;
    int faults = conf_refuse_live_key(c->stripe_secret_key, c->stripe_live);
    if (c->stripe_live && c->stripe_api_base && strncmp(c->stripe_api_base, "https://", 8) != 0)
        faults += conf_refuse("STRIPE_API_BASE", "STRIPE_LIVE=1 needs https://");
    return faults;
}
