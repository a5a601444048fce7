/* One call to Stripe: the bytes of one or more submissions go out as one request, and the answer
 * becomes the outcome of each. */
#ifndef METERLINE_SINK_STRIPE_CALLER_H
#define METERLINE_SINK_STRIPE_CALLER_H

#include "sink/config.h"
#include "sink/send/submission_store.h"

#include <uv.h>

struct stripe_caller;

/* config: borrowed for the caller's life. */
struct stripe_caller *stripe_caller_open(uv_loop_t *loop, const struct config *config);

/* The call has ended: outcome, wait_ms and request_id of each submission are filled, and they are
 * the callee's again. outcome: what the answer tells of the call as a whole, the first one's. Once,
 * from the loop. */
typedef void (*call_done_fn)(void *owner, struct submission_queue *batch,
                             const struct settle_outcome *outcome);

struct call_terms {
    int64_t begin_until_ms; /* monotonic; nothing is sent later, as the lease would not cover it */
    call_done_fn done;
    void *owner;
};

/* Can s be sent at all? Fills its path; if not, its outcome: failed. */
bool stripe_caller_accepts(struct submission *s);
/* batch: of one transport, as many as it takes, each accepted; all of it is taken. */
void stripe_caller_send(struct stripe_caller *c, struct submission_queue *batch,
                        const struct call_terms *terms);
/* Calls in flight end as canceled (outcome unknown); closed runs from the loop when c is freed. */
void stripe_caller_close(struct stripe_caller *c, void (*closed)(void *owner), void *owner);

#endif
