/* Whether anything may be sent at all. */
#include "sink/send/circuit_breaker.h"

#include <assert.h>
#include <limits.h>

enum { FIRST_WAIT_MS = 500, MAX_WAIT_MS = 60000 };

#define TO(state) (1u << (state))
static const unsigned MOVES[] = {
    [GATE_FLOWING] = TO(GATE_BLOCKED),
    [GATE_BLOCKED] = TO(GATE_PROBING) | TO(GATE_FLOWING),
    [GATE_PROBING] = TO(GATE_BLOCKED) | TO(GATE_FLOWING),
};

static void gate_go(struct gate *g, enum gate_state next)
{
    assert(MOVES[g->state] & TO(next));
    g->state = next;
}

void gate_init(struct gate *g)
{
    *g = (struct gate){.state = GATE_FLOWING, .backoff = BACKOFF(FIRST_WAIT_MS, MAX_WAIT_MS)};
}

int gate_allows(const struct gate *g, int64_t now_ms)
{
    if (g->state == GATE_FLOWING)
        return INT_MAX;
    return g->state == GATE_BLOCKED && now_ms >= g->until_ms ? 1 : 0;
}

int64_t gate_wait_ms(const struct gate *g, int64_t now_ms)
{
    if (g->state != GATE_BLOCKED || now_ms >= g->until_ms)
        return 0;
    return g->until_ms - now_ms;
}

void gate_probe(struct gate *g)
{
    gate_go(g, GATE_PROBING);
}

void gate_forget(struct gate *g, int64_t now_ms)
{
    if (g->state != GATE_PROBING)
        return;
    gate_go(g, GATE_BLOCKED);
    g->until_ms = now_ms + FIRST_WAIT_MS;
}

/* Calls that were in flight when it was blocked tell the same once more: only the first counts. */
uint64_t gate_block(struct gate *g, int64_t now_ms, uint32_t random)
{
    if (g->state == GATE_BLOCKED)
        return 0;
    gate_go(g, GATE_BLOCKED);
    uint64_t wait_ms = backoff_next_ms(&g->backoff, random);
    g->until_ms = now_ms + (int64_t)wait_ms;
    return wait_ms;
}

bool gate_works(struct gate *g)
{
    if (g->state == GATE_FLOWING)
        return false;
    gate_go(g, GATE_FLOWING);
    backoff_reset(&g->backoff);
    return true;
}
