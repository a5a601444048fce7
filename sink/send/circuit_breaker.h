/* Whether anything may be sent at all: closed while Stripe cannot be reached or refuses our key, so
 * that one probe at growing intervals asks instead of every submission. Pure.
 *
 *      FLOWING --gate_block--> BLOCKED --wait is over, gate_probe--> PROBING
 *         ^                      ^                                     |  |
 *         +----gate_works--------(---------------------- works --------+  |
 *                                +---------------------- block, forget ---+   */
#ifndef METERLINE_SINK_GATE_H
#define METERLINE_SINK_GATE_H

#include "common/backoff.h"

#include <stdbool.h>
#include <stdint.h>

enum gate_state { GATE_FLOWING, GATE_BLOCKED, GATE_PROBING };

struct gate {
    enum gate_state state;
    int64_t until_ms; /* monotonic: a probe may go out from then on */
    struct backoff backoff;
};

void gate_init(struct gate *g);
/* Calls that may go out now: any number (INT_MAX), 1 for a probe, or 0. */
int gate_allows(const struct gate *g, int64_t now_ms);
/* How long until a probe may go out; 0 if not blocked. */
int64_t gate_wait_ms(const struct gate *g, int64_t now_ms);
/* A probe is being picked. Only from BLOCKED. */
void gate_probe(struct gate *g);
/* Nothing was there to probe with: ask again later, the wait does not grow. */
void gate_forget(struct gate *g, int64_t now_ms);
/* A call found Stripe away or our key refused. Returns the wait, or 0 if it was blocked already. */
uint64_t gate_block(struct gate *g, int64_t now_ms, uint32_t random);
/* An answer of Stripe's that is not a refusal of our key. Returns true if it was not flowing. */
bool gate_works(struct gate *g);

#endif
