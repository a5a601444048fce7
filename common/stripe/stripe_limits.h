/* How many calls to Stripe may go out now: a token bucket. Its rate is halved when Stripe answers
 * 429, and rises again by a twentieth of the maximum a second; a Retry-After is waited for. Counts
 * in thousandths of a call, without floats. Only stripe_limits_refused logs. */
#ifndef METERLINE_STRIPE_LIMITS_H
#define METERLINE_STRIPE_LIMITS_H

#include "common/err.h"
#include "common/log.h"

#include <stdbool.h>
#include <stdint.h>

struct stripe_limits {
    int64_t max_milli;    /* thousandths of a call a second, at most */
    int64_t now_milli;    /* thousandths of a call a second, now */
    int64_t tokens_milli; /* up to a quarter of a second's worth, at least two calls */
    int64_t at_ms;        /* tokens are counted up to here (monotonic) */
    int64_t slowed_ms;    /* when the rate was last halved */
    int64_t until_ms;     /* no call before this, says Stripe (monotonic) */
    struct log_repeat refusals;
};

void stripe_limits_init(struct stripe_limits *l, int64_t per_s, int64_t now_ms);
/* Whole calls that may go out now. */
int stripe_limits_available(struct stripe_limits *l, int64_t now_ms);
void stripe_limits_take(struct stripe_limits *l, int calls);
/* How long until one call may go out; 0: now. */
int64_t stripe_limits_wait_ms(struct stripe_limits *l, int64_t now_ms);
/* Stripe's rate limit refused a call. retry_after_ms: for how long it wants none, 0 if it does not
 * say; at most a minute is believed. Halves the rate at most once a second, since many calls in
 * flight are refused together, and never below one call a second. Returns the new rate in
 * thousandths, or 0 if it was not changed. */
int64_t stripe_limits_slow(struct stripe_limits *l, int64_t retry_after_ms, int64_t now_ms);
/* The same, and `rate_lowered` is logged, once a minute at most. */
void stripe_limits_refused(struct stripe_limits *l, int64_t retry_after_ms,
                           const struct err *error);

/* A Retry-After header in ms, at most an hour; 0 if it is absent (NULL) or no number. Stripe's API
 * documents none, but a proxy in front of it may send one. */
int64_t stripe_retry_after_ms(const char *header);
/* Is a 429 about the account's rate? Others are about one object: somebody else has its lock, or it
 * has a limit of its own. reason: the header Stripe-Rate-Limited-Reason; code: the error's; either
 * may be NULL (docs.stripe.com/rate-limits). */
bool stripe_limit_is_the_accounts(const char *reason, const char *code);

#endif
