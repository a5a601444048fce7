/* How long to wait before the next try: doubling, with jitter so that not everybody comes back at
 * the same moment. Pure but for backoff_random. */
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
