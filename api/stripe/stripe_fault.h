/* What a caller is told when Stripe did not do what was asked. Pure.
 *
 *      Stripe                                         the caller
 *      declined, or no means of payment               402, the decline code
 *      a parameter that the caller gave is wrong      400, its name here
 *      the state of things forbids it                 409, Stripe's message
 *      our key is refused, or may not do this         502: the operator must act
 *      not reached, or too many calls                 503, with Retry-After
 *      no answer: it may have been done               502: repeat it with the same Idempotency-Key
 */
#ifndef METERLINE_API_STRIPE_FAULT_H
#define METERLINE_API_STRIPE_FAULT_H

#include "common/stripe/stripe_calls.h"

struct stripe_fault {
    int status;
    char code[64];
    const char *param; /* of ours, static; NULL: none is at fault */
    char message[400];
    int64_t retry_after_s; /* 0: not said */
};

/* reply: not STRIPE_DONE. */
void stripe_fault_of(struct stripe_fault *out, const struct stripe_reply *reply);

#endif
