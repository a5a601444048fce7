/* Runs of common/stripe/reconcile.h and common/stripe/in_doubt.h by a tool: on a loop of their own
 * that ends with them. */
#ifndef METERLINE_CTL_STRIPE_RUN_H
#define METERLINE_CTL_STRIPE_RUN_H

#include "common/stripe/in_doubt.h"
#include "common/stripe/reconcile.h"
#include "ctl/ctl.h"

/* Can Stripe be asked? Returns CTL_DONE, or CTL_USAGE after telling what is wrong with the key. */
int stripe_run_check(const struct ctl_config *config);

/* Compare. What Stripe does not tell is said on stderr. Returns 0, or -1 with e. */
int stripe_run_compare(const struct ctl_config *config, const struct reconcile_ask *ask,
                       struct reconcile_report *report, struct err *e);

/* Resolve what is in doubt. Each that was settled is printed. Returns 0, or -1 with e. */
int stripe_run_doubts(const struct ctl_config *config, struct doubts_report *report, struct err *e);

#endif
