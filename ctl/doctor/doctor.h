/* What `meterctl doctor` shares among its checks: the findings, a line each. */
#ifndef METERLINE_CTL_DOCTOR_H
#define METERLINE_CTL_DOCTOR_H

#include "ctl/ctl.h"

#include <jansson.h>

enum doctor_verdict {
    DOCTOR_OK,
    DOCTOR_WARN, /* it works and could be better, or it could not be found out */
    DOCTOR_BAD   /* exit 1 */
};

struct doctor {
    const struct ctl_config *config;
    json_t *rows; /* findings: result, check, msg */
    /* Of the catalog, NULL where it could not be read: */
    json_t *metrics; /* those that go to meters: metric, event_name, newest */
    json_t *plans;   /* those with a lookup key: plan, lookup_key */
    int bad;
};

/* Note a finding. check: what was looked at, such as "redis durability". The text: how it is and,
 * unless it is OK, what to do. */
void doctor_say(struct doctor *d, enum doctor_verdict verdict, const char *check,
                const char *format, ...) __attribute__((format(printf, 4, 5)));

/* All findings, a line each, and how many are BAD. */
void doctor_print(const struct doctor *d);

/* doctor_stripe.c. Stripe beside d's metrics and plans. */
void doctor_ask_stripe(struct doctor *d);

#endif
