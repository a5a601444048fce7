#include "common/stripe/circuit_breaker.h"

#include "common/machine.h"

#include <limits.h>

enum { FIRST_WAIT_MS = 500, MAX_WAIT_MS = 60000 };

static const struct machine BREAKER = {
    "circuit_breaker",
    {[BREAKER_CLOSED] = {"closed", TO(BREAKER_OPEN)},
     [BREAKER_OPEN] = {"open", TO(BREAKER_PROBING) | TO(BREAKER_CLOSED)},
     [BREAKER_PROBING] = {"probing", TO(BREAKER_OPEN) | TO(BREAKER_CLOSED)}}};

void breaker_init(struct circuit_breaker *b)
{
    *b = (struct circuit_breaker){.backoff = BACKOFF(FIRST_WAIT_MS, MAX_WAIT_MS)};
}

int breaker_allowed(const struct circuit_breaker *b, int64_t now_ms)
{
    if (b->state == BREAKER_CLOSED)
        return INT_MAX;
    return b->state == BREAKER_OPEN && now_ms >= b->until_ms ? 1 : 0;
}

int64_t breaker_wait_ms(const struct circuit_breaker *b, int64_t now_ms)
{
    if (b->state != BREAKER_OPEN || now_ms >= b->until_ms)
        return 0;
    return b->until_ms - now_ms;
}

void breaker_probe(struct circuit_breaker *b)
{
    machine_go(&BREAKER, b->state, BREAKER_PROBING);
}

void breaker_forget(struct circuit_breaker *b, int64_t now_ms)
{
    if (b->state != BREAKER_PROBING)
        return;
    machine_go(&BREAKER, b->state, BREAKER_OPEN);
    b->until_ms = now_ms + FIRST_WAIT_MS;
}

/* Calls that were in flight when it opened report the same outage once more: only the first counts.
 */
uint64_t breaker_trip(struct circuit_breaker *b, int64_t now_ms, uint32_t random)
{
    if (b->state == BREAKER_OPEN)
        return 0;
    machine_go(&BREAKER, b->state, BREAKER_OPEN);
    uint64_t wait_ms = backoff_next_ms(&b->backoff, random);
    b->until_ms = now_ms + (int64_t)wait_ms;
    return wait_ms;
}

bool breaker_reset(struct circuit_breaker *b)
{
    if (b->state == BREAKER_CLOSED)
        return false;
    machine_go(&BREAKER, b->state, BREAKER_CLOSED);
    backoff_reset(&b->backoff);
    return true;
}
