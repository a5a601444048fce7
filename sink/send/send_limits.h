/* Whether anything may be sent to Stripe now, and how much: the account's rate and the circuit
 * breaker together, and what each call's outcome tells of them. */
#ifndef METERLINE_SINK_SEND_LIMITS_H
#define METERLINE_SINK_SEND_LIMITS_H

#include "common/backoff.h"
#include "common/log.h"
#include "common/stripe/stripe_limits.h"
#include "sink/send/settle_rule.h"

#include <stdbool.h>
#include <stdint.h>

/* Open while Stripe cannot be reached or refuses our key, so that one probe at growing intervals
 * asks instead of every submission. Pure.
 *
 *      CLOSED --breaker_trip--> OPEN --the wait is over, breaker_probe--> PROBING
 *         ^                      ^                                          |  |
 *         +----breaker_reset-----(---------------------- breaker_reset -----+  |
 *                                +---------------------- breaker_trip, forget -+   */
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
