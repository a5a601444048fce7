/* Whether anything may be sent at all: closed while Stripe cannot be reached or refuses our key, so
 * that one probe at growing intervals asks instead of every submission. Pure.
 *
 *      FLOWING --circuit_breaker_trip--> BLOCKED --wait is over, circuit_breaker_probe--> PROBING
 *         ^                      ^                                     |  |
 *         +----circuit_breaker_reset--------(---------------------- works --------+  |
 *                                +---------------------- block, forget ---+   */
#ifndef METERLINE_SINK_CIRCUIT_BREAKER_H
#define METERLINE_SINK_CIRCUIT_BREAKER_H

#include "common/backoff.h"

#include <stdbool.h>
#include <stdint.h>

enum circuit_breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING };

struct circuit_breaker {
    enum circuit_breaker_state state;
    int64_t until_ms; /* monotonic: a probe may go out from then on */
    struct backoff backoff;
};

void circuit_breaker_init(struct circuit_breaker *g);
/* Calls that may go out now: any number (INT_MAX), 1 for a probe, or 0. */
int circuit_breaker_allowed(const struct circuit_breaker *g, int64_t now_ms);
/* How long until a probe may go out; 0 if not blocked. */
int64_t circuit_breaker_wait_ms(const struct circuit_breaker *g, int64_t now_ms);
/* A probe is being picked. Only from BLOCKED. */
void circuit_breaker_probe(struct circuit_breaker *g);
/* Nothing was there to probe with: ask again later, the wait does not grow. */
void circuit_breaker_forget(struct circuit_breaker *g, int64_t now_ms);
/* A call found Stripe away or our key refused. Returns the wait, or 0 if it was blocked already. */
uint64_t circuit_breaker_trip(struct circuit_breaker *g, int64_t now_ms, uint32_t random);
/* An answer of Stripe's that is not a refusal of our key. Returns true if it was not flowing. */
bool circuit_breaker_reset(struct circuit_breaker *g);

#endif
