/* How many calls to Stripe may go out now: a token bucket that halves its rate when Stripe says 429
 * and comes back by a twentieth a second, and that waits where Stripe says for how long. A 429 is
 * an answer: the peer is there. Each client of Stripe's has one. Whole thousandths of a token; only
 * what is named _refused logs. */
#ifndef METERLINE_STRIPE_LIMITS_H
#define METERLINE_STRIPE_LIMITS_H

#include "common/err.h"
#include "common/log.h"

#include <stdbool.h>
#include <stdint.h>

struct stripe_limits {
    int64_t max_milli;    /* thousandths of a call a second, at most */
    int64_t now_milli;    /* the rate in force */
    int64_t tokens_milli; /* up to a quarter of a second's worth, at least two calls */
    int64_t at_ms;        /* tokens are counted up to here (monotonic) */
    int64_t slowed_ms;    /* when the rate was last halved */
    int64_t until_ms;     /* Stripe wants no call before (monotonic) */
    struct log_repeat refusals;
};

void stripe_limits_init(struct stripe_limits *l, int64_t per_s, int64_t now_ms);
/* Whole calls that may go out now. */
int stripe_limits_available(struct stripe_limits *l, int64_t now_ms);
void stripe_limits_take(struct stripe_limits *l, int calls);
/* How long until one call may go out; 0: now. */
int64_t stripe_limits_wait_ms(struct stripe_limits *l, int64_t now_ms);
/* Stripe's limiter refused a call, and wants none for retry_after_ms (0: does not say; a minute is
 * believed at most). Halves at most once a second, since many calls in flight are refused for one
 * reason; never below one call a second. Returns the rate in force, thousandths, or 0 if it was not
 * changed. */
int64_t stripe_limits_slow(struct stripe_limits *l, int64_t retry_after_ms, int64_t now_ms);
/* The same, and `rate_lowered` is logged, once a minute at most. */
void stripe_limits_refused(struct stripe_limits *l, int64_t retry_after_ms,
                           const struct err *error);

/* Retry-After in ms, at most an hour; 0 where it is absent (NULL) or no number. Stripe documents
 * none; what stands before it may send one. */
int64_t stripe_retry_after_ms(const char *header);
/* A 429 that tells of the account's rate. Others tell of one object: a lock that was taken, or a
 * limit on it. reason: Stripe-Rate-Limited-Reason; code: of the error; either may be NULL
 * (docs.stripe.com/rate-limits). */
bool stripe_limit_is_the_accounts(const char *reason, const char *code);

#endif
