/* Comparing with Stripe, and what becomes of a submission in doubt. Pure: no I/O, no clock.
 *
 * reading   what Stripe counted within some time, or what we sent: a sum, or the newest value
 * low, high what we sent at least and at most: the outcome of some submissions is unknown
 * drift     how much Stripe is above high, or (negative) below low; 0 in between */
#ifndef METERLINE_RECONCILE_RULE_H
#define METERLINE_RECONCILE_RULE_H

#include "common/dec.h"

#include <stdbool.h>
#include <stdint.h>

struct reading {
    bool any; /* there is something, be it 0 */
    struct dec value;
};

/* stripe: its figure. Returns 0, or -1 if the drift has more digits than a dec. */
int reconcile_rule_drift(struct dec stripe, struct dec low, struct dec high, struct dec *drift);

/* What we sent for one minute, by usage_at; Unix seconds. */
struct sent_minute {
    int64_t at_s;
    struct dec quantity;
};

/* What we sent from start_s until before end_s. minutes: n of them, rising. */
struct reading reconcile_rule_sent(const struct sent_minute *minutes, int n, int64_t start_s,
                                   int64_t end_s, bool newest);

/* Are both the same? A sum of nothing is 0, but a newest value of 0 is a value. */
bool reconcile_rule_agree(struct reading a, struct reading b, bool newest);

/* Where a range of several minutes is cut in two: a whole minute within. Unix seconds. */
int64_t reconcile_rule_middle(int64_t start_s, int64_t end_s);

/* One submission in doubt, and Stripe's readings of its minute. */
struct doubt {
    struct dec quantity;  /* of the submission */
    bool newest;          /* its meter takes the newest value */
    bool read_before;     /* a first reading stands, an hour old at least; else this is the first */
    struct reading first; /* that reading */
    struct reading now;   /* this one; of usage records see reconcile_rule_records */
    bool known;   /* Stripe once answered that it had this identifier, so it has it somewhere */
    bool unclear; /* usage records: Stripe's total is neither the one with it nor without it */
};

enum doubt_verdict {
    DOUBT_NOTE, /* the first reading, to be confirmed an hour later */
    DOUBT_SENT, /* Stripe has it */
    DOUBT_VOID, /* Stripe does not have it: its usage may be claimed again */
    DOUBT_FAIL  /* Stripe has something else: a person decides */
};

enum doubt_verdict reconcile_rule_doubt(const struct doubt *d);
/* The verdict of one reading alone, after a restore, where VOID means to leave it as it is. */
enum doubt_verdict reconcile_rule_found(const struct doubt *d);

/* Of a submission that fails: how much of it Stripe may have, which must not be billed again. */
struct dec reconcile_rule_may_hold(const struct doubt *d);

/* Usage records have no minutes, so the item's total has to decide. sent: sum of what was surely
 * sent to the item in that period. doubtful: sum of all in doubt, this one included. Stripe has
 * either all of these or none; any other total is unclear. Fills d->now and d->unclear. */
void reconcile_rule_records(struct dec total, struct dec sent, struct dec doubtful,
                            struct doubt *d);

#endif
