/* When, and how often, an event is tried again. Pure. */
#ifndef METERLINE_RETRY_H
#define METERLINE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

/* Why a try did not succeed. */
enum retry_cause {
    RETRY_REFUSED,   /* PostgreSQL does not take the event's own data */
    RETRY_UNCLEAR,   /* an event of the same second may still come */
    RETRY_NO_TENANT, /* the customer's own event may still come */
    RETRY_PEER       /* Stripe is away, or PostgreSQL at fault: waits for as long as it takes */
};

enum retry { RETRY_LATER, RETRY_IGNORE, RETRY_FAIL };

/* attempts: tries so far, this one included. random: any 32 bits. *wait_ms is set for RETRY_LATER.
 */
enum retry retry_decide(enum retry_cause cause, int64_t attempts, uint32_t random,
                        int64_t *wait_ms);

#endif
