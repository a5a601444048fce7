/* The settings of webhookd. */
#ifndef METERLINE_WEBHOOKD_CONFIG_H
#define METERLINE_WEBHOOKD_CONFIG_H

#include "common/conf.h"

struct config {
    struct conf_base base;
    char *listen; /* HOST:PORT of the webhooks */
    char *paths;  /* where Stripe may POST to, comma separated */
    int64_t body_max_kb;
    char *webhook_secrets;   /* comma separated; any of them verifies */
    char *stripe_secret_key; /* NULL: nothing is fetched, events are believed */
    char *stripe_api_base;   /* a slash at its end is ignored */
    char *stripe_api_version;
    bool stripe_live;            /* allow live keys, take live events */
    int64_t rate_per_s;          /* 0: by the kind of key */
    int64_t workers;             /* events worked at the same time */
    int64_t heal_s;              /* between two sweeps over all limits */
    int64_t catch_up_interval_s; /* between two looks at Stripe's list of events; 0: none */
    int64_t payload_keep_days;   /* then webhook_events.payload becomes NULL */
};

extern const struct conf_setting WEBHOOKD_SETTINGS[];

/* Logs each fault that concerns more than one setting, and returns their number. config: a struct
 * config whose strings may be NULL. */
int webhookd_config_check(const void *config);

/* The most calls to Stripe a second. */
int64_t webhookd_rate_per_s(const struct config *c);

#endif
