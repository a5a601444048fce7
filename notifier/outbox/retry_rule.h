/* When an attempt that failed is repeated, and when it is given up. Pure.
 *
 * Two things wait: the message, and its address if that took nothing. A message that fails while
 * its address is sound waits twice as long each time. One that fails with its address waits just as
 * long as the address, so that all of them are due as soon as one of them is taken again. */
#ifndef METERLINE_NOTIFIER_RETRY_RULE_H
#define METERLINE_NOTIFIER_RETRY_RULE_H

#include "notifier/outbox/message.h"

struct retry_terms {
    int64_t first_ms;
    int64_t max_ms;
    int64_t give_up_ms; /* -1: never */
};

/* Sets wait_ms and address_wait_ms of a message whose end is set. random: any 32 bits, for the
 * jitter. */
void retry_rule(const struct retry_terms *terms, struct message *m, uint32_t random);

#endif
