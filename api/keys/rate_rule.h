/* How many requests a key may make: a bucket that holds a second's worth of them. Pure. */
#ifndef METERLINE_API_RATE_RULE_H
#define METERLINE_API_RATE_RULE_H

#include <stdint.h>

/* Zero: full. */
struct rate_bucket {
    int64_t used_us;  /* a request costs 10^6 / per_s; at most 10^6 */
    int64_t since_us; /* monotonic */
};

/* Takes one request. Returns 0; or how many microseconds to wait until there would be one. */
int64_t rate_take(struct rate_bucket *b, int64_t now_us, int64_t per_s);

#endif
