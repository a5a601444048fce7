/* Whether anything may be sent at all. */
#include "sink/send/circuit_breaker.h"

#include <assert.h>
#include <limits.h>

enum { FIRST_WAIT_MS = 500, MAX_WAIT_MS = 60000 };

#define TO(state) (1u << (state))
static const unsigned MOVES[] = {
    [BREAKER_CLOSED] = TO(BREAKER_OPEN),
    [BREAKER_OPEN] = TO(BREAKER_PROBING) | TO(BREAKER_CLOSED),
    [BREAKER_PROBING] = TO(BREAKER_OPEN) | TO(BREAKER_CLOSED),
};

static void circuit_breaker_go(struct circuit_breaker *g, enum circuit_breaker_state next)
{
    assert(MOVES[g->state] & TO(next));
    g->state = next;
}

void circuit_breaker_init(struct circuit_breaker *g)
{
    *g = (struct circuit_breaker){.state = BREAKER_CLOSED,
                                  .backoff = BACKOFF(FIRST_WAIT_MS, MAX_WAIT_MS)};
}

int circuit_breaker_allowed(const struct circuit_breaker *g, int64_t now_ms)
{
    if (g->state == BREAKER_CLOSED)
        return INT_MAX;
    return g->state == BREAKER_OPEN && now_ms >= g->until_ms ? 1 : 0;
}

int64_t circuit_breaker_wait_ms(const struct circuit_breaker *g, int64_t now_ms)
{
    if (g->state != BREAKER_OPEN || now_ms >= g->until_ms)
        return 0;
    return g->until_ms - now_ms;
}

void circuit_breaker_probe(struct circuit_breaker *g)
{
    circuit_breaker_go(g, BREAKER_PROBING);
}

void circuit_breaker_forget(struct circuit_breaker *g, int64_t now_ms)
{
    if (g->state != BREAKER_PROBING)
        return;
    circuit_breaker_go(g, BREAKER_OPEN);
    g->until_ms = now_ms + FIRST_WAIT_MS;
}

/* Calls that were in flight when it was blocked tell the same once more: only the first counts. */
uint64_t circuit_breaker_trip(struct circuit_breaker *g, int64_t now_ms, uint32_t random)
{
    if (g->state == BREAKER_OPEN)
        return 0;
    circuit_breaker_go(g, BREAKER_OPEN);
    uint64_t wait_ms = backoff_next_ms(&g->backoff, random);
    g->until_ms = now_ms + (int64_t)wait_ms;
    return wait_ms;
}

bool circuit_breaker_reset(struct circuit_breaker *g)
{
    if (g->state == BREAKER_CLOSED)
        return false;
    circuit_breaker_go(g, BREAKER_CLOSED);
    backoff_reset(&g->backoff);
    return true;
}
