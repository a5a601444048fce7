#include "common/stripe/stripe_limits.h"

#include "common/clock.h"
#include "common/str.h"

#include <string.h>
#include <strings.h>

enum {
    CALL_MILLI = 1000,
    SLOW_PAUSE_MS = 1000,
    RECOVERY_PART = 20,
    BUCKET_PART = 4,
    BUCKET_LEAST = 2 * CALL_MILLI,
    LONGEST_PAUSE_MS = 60000,
    RETRY_AFTER_MAX_S = 3600
};

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t bucket_milli(const struct stripe_limits *l)
{
    int64_t size = l->now_milli / BUCKET_PART;
    /* With room for just one call, the fraction above it would be lost each time. */
    return size > BUCKET_LEAST ? size : BUCKET_LEAST;
}

void stripe_limits_init(struct stripe_limits *l, int64_t per_s, int64_t now_ms)
{
    *l = (struct stripe_limits){.max_milli = per_s * CALL_MILLI, .now_milli = per_s * CALL_MILLI};
    l->tokens_milli = bucket_milli(l);
    l->at_ms = l->until_ms = now_ms;
    l->slowed_ms = now_ms - SLOW_PAUSE_MS;
}

/* Time that is too short for a thousandth is kept for the next call, so that slow rates lose none.
 */
static void refill(struct stripe_limits *l, int64_t now_ms)
{
    int64_t passed_ms = min_of(now_ms - l->at_ms, 60000);
    if (passed_ms <= 0)
        return;
    l->at_ms = now_ms;
    l->tokens_milli = min_of(bucket_milli(l), l->tokens_milli + l->now_milli * passed_ms / 1000);
    int64_t back_milli = l->max_milli * passed_ms / (RECOVERY_PART * 1000);
    if (now_ms - l->slowed_ms >= SLOW_PAUSE_MS)
        l->now_milli = min_of(l->max_milli, l->now_milli + back_milli);
}

int stripe_limits_available(struct stripe_limits *l, int64_t now_ms)
{
    refill(l, now_ms);
    if (now_ms < l->until_ms)
        return 0;
    return l->tokens_milli > 0 ? (int)(l->tokens_milli / CALL_MILLI) : 0;
}

void stripe_limits_take(struct stripe_limits *l, int calls)
{
    l->tokens_milli -= (int64_t)calls * CALL_MILLI;
}

int64_t stripe_limits_wait_ms(struct stripe_limits *l, int64_t now_ms)
{
    refill(l, now_ms);
    int64_t missing = CALL_MILLI - l->tokens_milli;
    int64_t wait_ms = missing <= 0 ? 0 : missing * 1000 / l->now_milli + 1;
    return l->until_ms - now_ms > wait_ms ? l->until_ms - now_ms : wait_ms;
}

int64_t stripe_limits_slow(struct stripe_limits *l, int64_t retry_after_ms, int64_t now_ms)
{
    refill(l, now_ms);
    int64_t until_ms = now_ms + min_of(retry_after_ms, LONGEST_PAUSE_MS);
    if (until_ms > l->until_ms)
        l->until_ms = until_ms;
    if (now_ms - l->slowed_ms < SLOW_PAUSE_MS)
        return 0;
    l->slowed_ms = now_ms;
    int64_t half = l->now_milli / 2;
    l->now_milli = half > CALL_MILLI ? half : CALL_MILLI;
    l->tokens_milli = min_of(l->tokens_milli, 0);
    return l->now_milli;
}

void stripe_limits_refused(struct stripe_limits *l, int64_t retry_after_ms, const struct err *error)
{
    uint64_t held;
    int64_t now_ms = clock_monotonic_ms();
    int64_t milli = stripe_limits_slow(l, retry_after_ms, now_ms);
    if (milli > 0 && log_repeat_failed(&l->refusals, now_ms, &held))
        log_warn(rate_lowered, LOG_STR("peer", "stripe"), LOG_I64("calls_per_s", milli / 1000),
                 LOG_U64("held_back", held), LOG_ERR(error));
}

int64_t stripe_retry_after_ms(const char *header)
{
    int64_t s = 0;
    if (!header || str_to_i64(header, strlen(header), &s) || s < 0)
        return 0;
    return min_of(s, RETRY_AFTER_MAX_S) * 1000;
}

static bool is_word(const char *text, const char *word)
{
    return text && !strcasecmp(text, word);
}

bool stripe_limit_is_the_accounts(const char *reason, const char *code)
{
    return !is_word(code, "lock_timeout") && !is_word(reason, "endpoint-concurrency") &&
           !is_word(reason, "resource-specific");
}
