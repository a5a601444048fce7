/* Open while Stripe cannot be reached or refuses our key, so that one probe at growing intervals
 * asks instead of every submission. Pure.
 *
 *      CLOSED --breaker_trip--> OPEN --the wait is over, breaker_probe--> PROBING
 *         ^                      ^                                          |  |
 *         +----breaker_reset-----(---------------------- breaker_reset -----+  |
 *                                +---------------------- breaker_trip, forget -+   */
#ifndef METERLINE_CIRCUIT_BREAKER_H
#define METERLINE_CIRCUIT_BREAKER_H

#include "common/backoff.h"

#include <stdbool.h>
#include <stdint.h>

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_PROBING };

struct circuit_breaker {
    enum breaker_state state;
    int64_t until_ms; /* monotonic: a probe may go out from then on */
    struct backoff backoff;
};

void breaker_init(struct circuit_breaker *b);
/* Calls that may go out now: any number (INT_MAX), 1 for a probe, or 0. */
int breaker_allowed(const struct circuit_breaker *b, int64_t now_ms);
/* How long until a probe may go out; 0 if it is not open. */
int64_t breaker_wait_ms(const struct circuit_breaker *b, int64_t now_ms);
/* A probe is being picked. Only from OPEN. */
void breaker_probe(struct circuit_breaker *b);
/* Nothing was there to probe with: ask again later, the wait does not grow. */
void breaker_forget(struct circuit_breaker *b, int64_t now_ms);
/* A call found Stripe away or our key refused. Returns the wait, or 0 if it was open already. */
uint64_t breaker_trip(struct circuit_breaker *b, int64_t now_ms, uint32_t random);
/* An answer of Stripe's that is not a refusal of our key. Returns true if it was not closed. */
bool breaker_reset(struct circuit_breaker *b);

#endif
