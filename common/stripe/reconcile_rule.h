/* Comparing with Stripe, and what becomes of a submission in doubt. Pure: no I/O, no clock.
 *
 * held    what Stripe holds of some time: a sum, or the newest value
 * ours    what we sent of it, with the bounds that submissions of unknown outcome leave open
 * drift   how much more Stripe holds than can be ours; 0 within the bounds */
#ifndef METERLINE_RECONCILE_RULE_H
#define METERLINE_RECONCILE_RULE_H

#include "common/dec.h"

#include <stdbool.h>
#include <stdint.h>

struct held {
    bool any; /* Stripe holds something, be it 0 */
    struct dec value;
};

/* drift = held outside of low to high. Returns 0, or -1 if it has more digits than a dec. */
int reconcile_rule_drift(struct dec held, struct dec low, struct dec high, struct dec *drift);

/* One minute of ours, by usage_at; Unix seconds. */
struct our_minute {
    int64_t at_s;
    struct dec quantity;
};

/* What we hold from start_s until before end_s. minutes: n of them, rising. */
struct held reconcile_rule_ours(const struct our_minute *minutes, int n, int64_t start_s,
                                int64_t end_s, bool newest);

/* Do both hold the same? Of sums nothing is 0; a newest value of 0 is a value. */
bool reconcile_rule_agree(struct held a, struct held b, bool newest);

/* Where a range of several minutes is cut in two: a whole minute within. Unix seconds. */
int64_t reconcile_rule_middle(int64_t start_s, int64_t end_s);

/* One submission in doubt, and what Stripe told. */
struct doubt {
    struct dec quantity; /* of the submission */
    bool newest;         /* its meter takes the newest value */
    bool read_before;    /* a first reading stands, an hour old at least; else this is the first */
    struct held first;   /* that reading */
    struct held now;     /* this one: its minute; of usage records as by doubt_of_records */
    bool known;          /* Stripe knew its identifier before, so that it holds it somewhere */
    bool unclear;        /* usage records: what Stripe holds is neither with nor without it */
};

enum doubt_verdict {
    DOUBT_NOTE, /* the first reading, to be confirmed an hour later */
    DOUBT_SENT, /* Stripe holds it */
    DOUBT_VOID, /* Stripe does not hold it: its quantity may be claimed anew */
    DOUBT_FAIL  /* Stripe holds something else: a person decides */
};

enum doubt_verdict reconcile_rule_doubt(const struct doubt *d);
/* The verdict of one reading alone, after a restore, where VOID means to leave it as it is. */
enum doubt_verdict reconcile_rule_found(const struct doubt *d);

/* Of one that fails: what Stripe holds or may hold of it, so that it is not billed again. */
struct dec reconcile_rule_may_hold(const struct doubt *d);

/* Usage records have no minutes: what the item's total says of one in doubt. sent: sum of what was
 * surely sent to the item in that period. doubtful: sum of all in doubt, this one with them.
 * Either all of these are there, or none, or it is unclear. */
void reconcile_rule_records(struct dec total, struct dec sent, struct dec doubtful,
                            struct doubt *d);

#endif
