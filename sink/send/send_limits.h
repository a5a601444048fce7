/* May anything be sent now, and how much: the rate and the gate together, and what calls tell of
 * them. */
#ifndef METERLINE_SINK_FLOW_H
#define METERLINE_SINK_FLOW_H

#include "common/log.h"
#include "common/stripe/stripe_limits.h"
#include "sink/send/circuit_breaker.h"
#include "sink/send/settle_rule.h"

#include <stdbool.h>
#include <stdint.h>

struct flow {
    struct stripe_limits limits;
    struct gate gate;
    bool refused; /* the gate is closed because our key was refused */
    struct log_causes blocks;
};

void flow_init(struct flow *f, int64_t calls_per_s);
/* Calls that may go out now. */
int flow_allows(struct flow *f);
/* Until the gate's next probe, or else the rate's next call; 0: now. */
int64_t flow_wait_ms(struct flow *f);
bool flow_is_blocked(const struct flow *f);
/* As many are about to be picked as flow_allows said; flow_picked says how many there were. */
void flow_picking(struct flow *f);
void flow_picked(struct flow *f, int calls);
/* One call more than was picked for has begun. */
void flow_more(struct flow *f);
/* A picked one was not sent after all. */
void flow_unsent(struct flow *f);
/* A call has ended. Logs what changes: sending_blocked, account_refused, sending_resumed,
 * rate_lowered. */
void flow_judge(struct flow *f, const struct settle_outcome *o);

#endif
