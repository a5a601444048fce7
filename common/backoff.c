#include "common/backoff.h"

#include <limits.h>
#include <sodium.h>

uint64_t backoff_next_ms(struct backoff *b, uint32_t random)
{
    uint64_t wait_ms = b->first_ms;
    for (unsigned i = 0; i < b->failures && wait_ms < b->max_ms; i++)
        wait_ms = wait_ms > b->max_ms / 2 ? b->max_ms : wait_ms * 2;
    if (wait_ms > b->max_ms)
        wait_ms = b->max_ms;
    if (b->failures < UINT_MAX)
        b->failures++;
    return wait_ms + random % (wait_ms / 5 + 1);
}

void backoff_reset(struct backoff *b)
{
    b->failures = 0;
}

uint32_t backoff_random(void)
{
    return randombytes_random();
}
