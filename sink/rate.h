/* How many calls may go out now: a token bucket that halves its rate when Stripe says 429 and comes
 * back by a twentieth a second. Pure; whole thousandths of a token. */
#ifndef METERLINE_SINK_RATE_H
#define METERLINE_SINK_RATE_H

#include <stdint.h>

struct rate {
    int64_t max_milli;    /* thousandths of a call a second, at most */
    int64_t now_milli;    /* the rate in force */
    int64_t tokens_milli; /* up to a quarter of a second's worth, at least two calls */
    int64_t at_ms;        /* tokens are counted up to here (monotonic) */
    int64_t slowed_ms;    /* when the rate was last halved */
};

void rate_init(struct rate *r, int64_t per_s, int64_t now_ms);
/* Whole calls that may go out now. */
int rate_available(struct rate *r, int64_t now_ms);
void rate_take(struct rate *r, int calls);
/* How long until one call may go out; 0: now. */
int64_t rate_wait_ms(struct rate *r, int64_t now_ms);
/* Stripe's limiter refused a call. Halves at most once a second, since many calls in flight are
 * refused for one reason; never below one call a second. Returns the rate in force, thousandths, or
 * 0 if it was not changed. */
int64_t rate_slow(struct rate *r, int64_t now_ms);

#endif
