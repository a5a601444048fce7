/* What `meterctl doctor` found, a line each. */
#ifndef METERLINE_CTL_DOCTOR_H
#define METERLINE_CTL_DOCTOR_H

#include "ctl/ctl.h"

#include <jansson.h>
#include <libpq-fe.h>

enum doctor_verdict {
    DOCTOR_OK,
    DOCTOR_WARN, /* it works, and could be better; or it could not be told */
    DOCTOR_BAD   /* exit 1 */
};

struct doctor {
    const struct ctl_config *config;
    json_t *rows; /* findings: result, check, msg */
    json_t
        *metrics; /* of the catalog, that go to meters: metric, event_name, newest; NULL: unknown */
    json_t *plans; /* of the catalog, with a lookup key: plan, lookup_key; NULL: unknown */
    int bad;
};

/* doctor_say.c. check: what was looked at, such as "redis durability"; the text: how it is and,
 * unless it is OK, what to do. */
void doctor_say(struct doctor *d, enum doctor_verdict verdict, const char *check,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* doctor_servers.c; reads the catalog too */
void doctor_ask_postgres(struct doctor *d);
void doctor_ask_redis(struct doctor *d);

/* doctor_stages.c */
void doctor_ask_stages(struct doctor *d, PGconn *conn);

/* doctor_stripe.c */
void doctor_ask_stripe(struct doctor *d);

/* doctor_account.c: what Stripe has, beside the catalog. Lists of Stripe's objects, borrowed. */
void doctor_judge_meters(struct doctor *d, const json_t *meters);
void doctor_judge_prices(struct doctor *d, const json_t *prices, const json_t *meters);
void doctor_judge_endpoints(struct doctor *d, const json_t *endpoints);

#endif
