/* What to claim of one total, and in which minute. Pure: no I/O, no clock, no floating point.
 *
 * claim    the part of a total that one submission holds, final once it is written
 * minute   usage_at of a submission: a whole minute, used once for a customer and meter, since
 * Stripe is asked by customer, meter and minute what it holds rising   of a meter that takes the
 * newest value (max, last, unique): a later claim needs a later minute; sums do not care */
#ifndef METERLINE_SINK_CLAIM_RULE_H
#define METERLINE_SINK_CLAIM_RULE_H

#include "common/clock.h"
#include "common/dec.h"

#include <stdbool.h>
#include <stdint.h>

/* Stripe refuses meter events older than 35 days or more than 5 minutes ahead
 * (docs.stripe.com/api/billing/meter-event/create); a day and a minute are ours to spare. */
#define CLAIM_OLDEST_MS (34 * DAY_MS)
#define CLAIM_AHEAD_MS  (4 * MINUTE_MS)
/* Stripe takes 15 digits (changelog 2026-04-22.dahlia). */
#define CLAIM_LIMIT 999999999999999LL

/* One total whose version is newer than what was claimed of it. Times are Unix ms; 0 stands for
 * none. */
struct claim_total {
    int64_t period_start_ms; /* inclusive */
    int64_t period_end_ms;   /* exclusive */
    struct dec quantity;     /* the period's total, or current value */
    int64_t version;         /* of the total */
    bool additive;           /* sum, count: differences are claimed; else the value itself */
    bool outside;            /* the tenant has or had a subscription, the period is none of it */
    int64_t subscription_start_ms; /* to the millisecond; 0 for a calendar month */
    bool invoice_final;            /* the period is over and its invoice can change no more */
    struct dec claimed;            /* sum of the period's submissions; else the newest value */
    int64_t claims;                /* number of the last claim */
    int64_t first_ms;              /* least minute used in the period */
    int64_t last_ms;               /* greatest minute used */
    int64_t free_ms;               /* of a period that is over: a free minute before a used one */
};

enum claim_decision {
    CLAIM_MAKE,   /* write the submission, and the claim */
    CLAIM_MARK,   /* nothing to claim: write the claim, so that the total is not looked at again */
    CLAIM_WAIT,   /* no minute is free now: claim nothing, the next cycle looks again */
    CLAIM_OUTSIDE /* before_subscription: claim nothing */
};

struct claim {
    struct dec quantity; /* of the submission; whole, below 10^15 */
    int64_t usage_at_ms; /* its minute */
    bool late;           /* Stripe would not bill it any more: a person decides */
    int64_t version;     /* from here on: the claim as it is after this */
    struct dec claimed;
    int64_t claims;
    int64_t first_ms;
    int64_t last_ms;
};

/* now_ms: by the database's clock, the same for every sink. After WAIT and OUTSIDE out is the claim
 * as it was, with a version that keeps the total dirty: to be written only where it was summed up
 * anew. */
enum claim_decision claim_rule_decide(const struct claim_total *t, int64_t now_ms,
                                      struct claim *out);

/* The minute of the next claim of t. Returns false if none is free now. */
bool claim_rule_minute(const struct claim_total *t, int64_t now_ms, int64_t *minute_ms);

#endif
