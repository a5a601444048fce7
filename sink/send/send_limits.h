/* Whether anything may be sent to Stripe now, and how much: the account's rate and the circuit
 * breaker together, and what each call's outcome tells of them. */
#ifndef METERLINE_SINK_SEND_LIMITS_H
#define METERLINE_SINK_SEND_LIMITS_H

#include "common/log.h"
#include "common/stripe/circuit_breaker.h"
#include "common/stripe/stripe_limits.h"
#include "sink/send/settle_rule.h"

#include <stdbool.h>
#include <stdint.h>

struct send_limits {
    struct stripe_limits rate;
    struct circuit_breaker breaker;
    bool refused; /* the breaker is open because our key was refused */
    struct log_causes outages;
};

void send_limits_init(struct send_limits *l, int64_t calls_per_s);
/* Calls that may go out now. */
int send_limits_allowed(struct send_limits *l);
/* Until the breaker's next probe, or else the rate's next call; 0: now. */
int64_t send_limits_wait_ms(struct send_limits *l);
bool send_limits_are_blocked(const struct send_limits *l);
/* As many are about to be picked as send_limits_allowed said; send_limits_picked says how many
 * there were. */
void send_limits_picking(struct send_limits *l);
void send_limits_picked(struct send_limits *l, int calls);
/* One call more than was picked for has begun. */
void send_limits_call_begun(struct send_limits *l);
/* A picked one was not sent after all. */
void send_limits_unsent(struct send_limits *l);
/* A call has ended. Logs what changes: sending_blocked, account_refused, sending_resumed,
 * rate_lowered. */
void send_limits_judge(struct send_limits *l, const struct settle_outcome *o);

#endif
