/* Settings of the stage. */
#ifndef METERLINE_SINK_CONFIG_H
#define METERLINE_SINK_CONFIG_H

#include "common/conf.h"

struct config {
    struct conf_base base;
    char *stripe_secret_key;
    char *stripe_api_base; /* https://…, or http:// to this machine; no path is taken from it */
    char *stripe_meter_events_base; /* of the stream alone; as set: config_meter_events_base */
    char *stripe_api_version;
    bool stripe_live;             /* live keys are wanted */
    int64_t interval_s;           /* between two claims, aligned to the clock */
    int64_t rate_per_s;           /* calls a second; 0: by the kind of key */
    int64_t max_in_flight;        /* calls side by side */
    int64_t timeout_ms;           /* of one call */
    char *reconcile_at;           /* HH:MM, UTC: when all is compared with Stripe, nightly */
    int64_t reconcile_rate_per_s; /* calls to Stripe while comparing */
};

extern const struct conf_setting SINK_SETTINGS[];

/* Returns how many faults there are that concern several settings; each is logged. config: a struct
 * config whose strings may be NULL. */
int config_check(const void *config);

/* The rate in force: SINK_RATE_PER_S, else 20 for test keys and 900 for live ones (Stripe's limits
 * are 25 and 1,000, docs.stripe.com/rate-limits). */
int64_t config_rate_per_s(const struct config *c);

/* Where the meter event stream goes: STRIPE_METER_EVENTS_BASE if it is set; else Stripe's own host,
 * or STRIPE_API_BASE where that is not Stripe's. Borrowed. */
const char *config_meter_events_base(const struct config *c);

/* base, with or without a slash at its end, and a path that begins with one; malloc'd. */
char *config_url(const char *base, const char *path);

/* SINK_RECONCILE_AT as the minute of the day. */
int64_t config_reconcile_minute(const struct config *c);

#endif
