/* Sends a batch in one call, or in as many as it takes to find the submission for which Stripe
 * refuses the whole batch. */
#ifndef METERLINE_SINK_BISECT_H
#define METERLINE_SINK_BISECT_H

#include "sink/send/stripe_caller.h"

/* A call has ended. ended: those that have their outcome now, the callee's; none where the call is
 * made again by halves. outcome: of the call. over: it was the batch's last; else the next one has
 * begun. From the loop. */
typedef void (*bisect_done_fn)(void *owner, struct submission_queue *ended,
                               const struct settle_outcome *outcome, bool over);

struct bisect_terms {
    int64_t begin_until_ms;         /* monotonic; no call begins later */
    bool (*may_go_on)(void *owner); /* may another call begin? If not, the rest comes back unsent */
    bisect_done_fn done;
    void *owner;
};

/* caller: must live until the batch is over, unless may_go_on returns false from then on. picked:
 * of one transport, at least one and as many as a call takes; all of it is taken. */
void bisect_send(struct stripe_caller *caller, struct submission_queue *picked,
                 const struct bisect_terms *terms);

#endif
