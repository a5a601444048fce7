/* Settings of the stage. */
#ifndef METERLINE_WEBHOOKD_CONFIG_H
#define METERLINE_WEBHOOKD_CONFIG_H

#include "common/conf.h"

struct config {
    struct conf_base base;
    char *listen;            /* HOST:PORT of POST /webhooks/stripe */
    char *webhook_secrets;   /* comma separated; any of them verifies */
    char *stripe_secret_key; /* NULL: objects are not fetched, events are taken at their word */
    char *stripe_api_base;   /* without a slash at its end */
    char *stripe_api_version;
    bool stripe_live;          /* live keys and live events are wanted */
    int64_t rate_per_s;        /* as set; 0: by the kind of key */
    int64_t workers;           /* events worked side by side */
    int64_t heal_s;            /* between two rewritings of all limits */
    int64_t payload_keep_days; /* then webhook_events.payload becomes NULL */
};

extern const struct conf_setting WEBHOOKD_SETTINGS[];

/* Faults that concern more than one setting, each logged; their number. config: a struct config
 * whose strings may be NULL. */
int webhookd_config_check(const void *config);

/* Calls to Stripe a second, at most. */
int64_t webhookd_rate_per_s(const struct config *c);

#endif
