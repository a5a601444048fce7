/* What to claim of one total, and in which minute. Pure: no I/O, no clock, no floating point.
 *
 * claim    the part of a total that one submission holds, final once it is written
 *
 * minute   usage_at of a submission: a whole minute, used once for a customer and meter, since
 *          Stripe is asked by customer, meter and minute what it holds
 *
 * rising   of a meter that takes the newest value (max, last, unique): a later claim needs a later
 *          minute; sums do not care
 *
 * place    what a negative difference is subtracted from: a customer's meter that holds units of
 *          the total. Stripe bills no meter below zero, so that it goes nowhere else
 *
 * held     a negative difference without such a place, or a negative value that the transport does
 *          not take: it is not sent, and judged anew with the next claim of its total */
#ifndef METERLINE_SINK_CLAIM_RULE_H
#define METERLINE_SINK_CLAIM_RULE_H

#include "common/clock.h"
#include "common/dec.h"

#include <stdbool.h>
#include <stdint.h>

/* Stripe refuses meter events older than 35 days or more than 5 minutes ahead
 * (docs.stripe.com/api/billing/meter-event/create). We keep a day and a minute to spare. */
#define CLAIM_OLDEST_MS (34 * DAY_MS)
#define CLAIM_AHEAD_MS  (4 * MINUTE_MS)
/* Stripe takes 15 digits (changelog 2026-04-22.dahlia). Sums are claimed in parts, other values are
 * not claimed if they have more; usage_unbilled knows the same limit. */
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
    bool unmapped;          /* the transport needs an item of the subscription, and there is none */
    bool takes_negative;    /* of the transport, as in struct transport; asked of values alone */
    struct dec place_units; /* of a sum: what the place of a negative difference holds; 0: none */
    bool ends_with_period;  /* … */
    int64_t billed_from_ms; /* when the period begins for Stripe, to the millisecond, which may be
                               later in its first minute; 0 for a calendar month */
    bool invoice_final;     /* the period is over and its invoice can change no more */
    struct dec claimed; /* sum of the period's submissions, else the newest value; without held */
    bool has_held;
    struct dec held;  /* their sum, else the newest value; 0 if none is held */
    int64_t claims;   /* number of the last claim */
    int64_t first_ms; /* least minute used in the period */
    int64_t last_ms;  /* greatest minute used */
    int64_t free_ms;  /* of a period that is over: its last minute, or the latest before one that is
                         used, of which the customer's meter has nothing */
};

enum claim_decision {
    CLAIM_MAKE,     /* write the submission, and the claim */
    CLAIM_MARK,     /* nothing to claim: write the claim, so that it is not looked at again */
    CLAIM_WAIT,     /* no minute is free now: claim nothing, the next cycle looks again */
    CLAIM_OUTSIDE,  /* before_subscription: claim nothing */
    CLAIM_UNMAPPED, /* nothing to bill it to: claim nothing */
    CLAIM_TOO_LARGE /* a value that Stripe cannot hold: claim nothing */
};

enum claim_state {
    CLAIM_PENDING,
    CLAIM_HELD, /* negative, and there is nothing to subtract from */
    CLAIM_LATE  /* Stripe would not bill it any more: a person decides */
};

struct claim {
    struct dec quantity; /* of the submission; whole, below 10^15 */
    int64_t usage_at_ms; /* its minute */
    enum claim_state state;
    bool voids_held; /* what is held becomes void: it is in quantity, or was made up for */
    bool split;      /* a part of the difference is left: apply this one, and decide again */
    bool elsewhere;  /* its place does not hold all of it: the rest is read anew, with another place
                      */
    int64_t version; /* this and what follows: the claim as it is after this submission */
    struct dec claimed;
    int64_t claims;
    int64_t first_ms;
    int64_t last_ms;
};

/* now_ms: by the database's clock, the same for every sink. After WAIT, OUTSIDE and UNMAPPED out is
 * the claim as it was, with a version that keeps the total dirty: to be written only where it was
 * summed up anew. After TOO_LARGE it is that, with the total's version: to be written, so that the
 * total is not looked at again before it changes. */
enum claim_decision claim_rule_decide(const struct claim_total *t, int64_t now_ms,
                                      struct claim *out);

/* t as it is after that claim was made of it. */
void claim_rule_apply(struct claim_total *t, const struct claim *made);

/* The minute of the next claim of t. Returns false if none is free now. */
bool claim_rule_minute(const struct claim_total *t, int64_t now_ms, int64_t *minute_ms);

#endif
