/* The settings of the API. */
#ifndef METERLINE_API_CONFIG_H
#define METERLINE_API_CONFIG_H

#include "common/conf.h"

struct config {
    struct conf_base base;
    char *listen;
    int64_t rate_per_s;
    int64_t db_connections;
    int64_t cache_ms;
    int64_t body_max_kb;
    int64_t portal_token_s;
    char *stripe_secret_key; /* NULL: routes that ask Stripe answer 503 */
    char *stripe_api_base;
    char *stripe_api_version;
    bool stripe_live;
    int64_t stripe_rate_per_s;
    int64_t pdf_max_kb;
    bool allow_local_pdf;
};

extern const struct conf_setting API_SETTINGS[];

/* Logs each fault that concerns more than one setting, and returns their number. config: a struct
 * config whose strings may be NULL. */
int api_config_check(const void *config);

#endif
