/* Asking Stripe from a command: the key, and runs of common/stripe/reconcile.h and
 * common/stripe/in_doubt.h on a loop of their own that ends with them. */
#ifndef METERLINE_CTL_STRIPE_RUN_H
#define METERLINE_CTL_STRIPE_RUN_H

#include "common/stripe/in_doubt.h"
#include "common/stripe/reconcile.h"
#include "ctl/ctl.h"

/* Can Stripe be asked? Returns CTL_DONE, or CTL_USAGE after telling what is wrong with the key. */
int stripe_run_check(const struct ctl_config *config);

struct stripe_access stripe_run_access(const struct ctl_config *config, int64_t rate_per_s);

/* Callbacks of a run that tell on stderr, since what a command prints on stdout may be for
 * programs: what Stripe did not tell, and what became of a submission in doubt. owner is not used.
 */
void stripe_run_on_found(void *owner, const struct reconcile_found *found);
void stripe_run_on_settled(void *owner, const char *identifier, const char *customer,
                           const char *state, const char *why);

/* Compare. What Stripe does not tell is said on stderr. Returns 0, or -1 with e. */
int stripe_run_compare(const struct ctl_config *config, const struct reconcile_ask *ask,
                       struct reconcile_report *report, struct err *e);

/* Resolve what is in doubt. Each that was settled is printed. Returns 0, or -1 with e. */
int stripe_run_doubts(const struct ctl_config *config, struct doubts_report *report, struct err *e);

#endif
