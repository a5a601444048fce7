/* When a webhook event that could not be worked is tried again. Pure. */
#ifndef METERLINE_WEBHOOKD_EVENT_RULES_H
#define METERLINE_WEBHOOKD_EVENT_RULES_H

#include <stdint.h>

/* Why a try failed. */
enum retry_cause {
    CAUSE_REFUSED, /* PostgreSQL refuses the event's own data */
    CAUSE_PEER     /* Stripe or PostgreSQL cannot do it now: tried for as long as it takes */
};

enum retry { RETRY_LATER, RETRY_FAIL };

/* attempts: tries so far, this one included. random: any 32 bits. *wait_ms is set for RETRY_LATER.
 */
enum retry retry_decide(enum retry_cause cause, int64_t attempts, uint32_t random,
                        int64_t *wait_ms);

#endif
