/* What a version of Stripe's API knows. Versions begin with a date (docs.stripe.com/changelog). */
#ifndef METERLINE_API_STRIPE_VERSIONS_H
#define METERLINE_API_STRIPE_VERSIONS_H

#include <stdbool.h>
#include <string.h>

/* billing_mode, which is said explicitly: what a version takes without it has changed. */
static inline bool stripe_knows_billing_mode(const char *version)
{
    return strcmp(version, "2025-06-30") >= 0;
}

/* phases[][duration], in place of iterations. */
static inline bool stripe_knows_duration(const char *version)
{
    return strcmp(version, "2025-09-30") >= 0;
}

/* billing_cycle_anchor[type], in place of a plain word, when updating and resuming. */
static inline bool stripe_knows_anchor_type(const char *version)
{
    return strcmp(version, "2026-09-30") >= 0;
}

#endif
