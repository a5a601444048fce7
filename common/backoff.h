/* Waiting to retry: exponential, with jitter so that many do not come back at once. Pure. */
#ifndef METERLINE_BACKOFF_H
#define METERLINE_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint64_t first_ms; /* the first wait */
    uint64_t max_ms;   /* waits double up to this */
    unsigned failures; /* since the last success */
};

#define BACKOFF(first, max) ((struct backoff){.first_ms = (first), .max_ms = (max)})

/* The next wait: first * 2^failures up to max, plus up to 20 % by random (any 32 random bits). */
uint64_t backoff_next_ms(struct backoff *b, uint32_t random);
void backoff_reset(struct backoff *b);
/* 32 random bits (libsodium). */
uint32_t backoff_random(void);

#endif
