/* How many calls may go out now. */
#include "sink/rate.h"

enum {
    CALL_MILLI = 1000,
    SLOW_PAUSE_MS = 1000,
    RECOVERY_PART = 20,
    BUCKET_PART = 4,
    BUCKET_LEAST = 2 * CALL_MILLI
};

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t bucket_milli(const struct rate *r)
{
    int64_t size = r->now_milli / BUCKET_PART;
    /* With room for one call only, what is above a whole one would be lost each time. */
    return size > BUCKET_LEAST ? size : BUCKET_LEAST;
}

void rate_init(struct rate *r, int64_t per_s, int64_t now_ms)
{
    *r = (struct rate){.max_milli = per_s * CALL_MILLI, .now_milli = per_s * CALL_MILLI};
    r->tokens_milli = bucket_milli(r);
    r->at_ms = now_ms;
    r->slowed_ms = now_ms - SLOW_PAUSE_MS;
}

/* Time is only used up where it made a whole thousandth, so that slow rates do not lose the rest.
 */
static void refill(struct rate *r, int64_t now_ms)
{
    int64_t passed_ms = min_of(now_ms - r->at_ms, 60000);
    if (passed_ms <= 0)
        return;
    r->at_ms = now_ms;
    r->tokens_milli = min_of(bucket_milli(r), r->tokens_milli + r->now_milli * passed_ms / 1000);
    int64_t back_milli = r->max_milli * passed_ms / (RECOVERY_PART * 1000);
    if (now_ms - r->slowed_ms >= SLOW_PAUSE_MS)
        r->now_milli = min_of(r->max_milli, r->now_milli + back_milli);
}

int rate_available(struct rate *r, int64_t now_ms)
{
    refill(r, now_ms);
    return r->tokens_milli > 0 ? (int)(r->tokens_milli / CALL_MILLI) : 0;
}

void rate_take(struct rate *r, int calls)
{
    r->tokens_milli -= (int64_t)calls * CALL_MILLI;
}

int64_t rate_wait_ms(struct rate *r, int64_t now_ms)
{
    refill(r, now_ms);
    int64_t missing = CALL_MILLI - r->tokens_milli;
    return missing <= 0 ? 0 : missing * 1000 / r->now_milli + 1;
}

int64_t rate_slow(struct rate *r, int64_t now_ms)
{
    refill(r, now_ms);
    if (now_ms - r->slowed_ms < SLOW_PAUSE_MS)
        return 0;
    r->slowed_ms = now_ms;
    int64_t half = r->now_milli / 2;
    r->now_milli = half > CALL_MILLI ? half : CALL_MILLI;
    r->tokens_milli = min_of(r->tokens_milli, 0);
    return r->now_milli;
}
