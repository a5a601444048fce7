/* One try: a submission's bytes to Stripe, and what the answer means. */
#ifndef METERLINE_SINK_CALL_H
#define METERLINE_SINK_CALL_H

#include "sink/config.h"
#include "sink/submission.h"

#include <uv.h>

struct caller;

/* The try has ended: outcome, wait_ms and request_id are filled, s is the callee's again. Once,
 * from the loop. */
typedef void (*call_done_fn)(void *owner, struct submission *s);

/* config: borrowed for the caller's life. */
struct caller *caller_open(uv_loop_t *loop, const struct config *config, call_done_fn done,
                           void *owner);
/* s is the caller's until done. */
void caller_send(struct caller *c, struct submission *s);
/* The outcome of a try that was not made, by us: nothing was sent, it may go out at once. */
void caller_hand_back(struct submission *s);
/* Calls in flight end as canceled (outcome unknown); closed runs from the loop when c is freed. */
void caller_close(struct caller *c, void (*closed)(void *owner), void *owner);

#endif
