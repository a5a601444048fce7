/* The outbox of one channel: claims messages that are due, has them delivered, and notes what
 * became of them. Any number of notifiers share the work: a claimed message is leased to one
 * (lease_until), and is another one's if that time is over.
 *
 *   RESTING -> CLAIMING -> RESTING
 *      |                     ^
 *      +-----> SETTLING -----+
 *
 * The happy path: a NOTIFY wakes it, messages are claimed up to what may be in flight, `deliver`
 * gets each, and what has ended is settled in one statement, while others are still in flight.
 *
 * Failure modes: PostgreSQL is away: what has ended waits in memory to be settled. The process
 * dies: its messages are sent again by whoever claims them after the lease, so that each arrives at
 * least once. */
#ifndef METERLINE_NOTIFIER_OUTBOX_H
#define METERLINE_NOTIFIER_OUTBOX_H

#include "notifier/context.h"
#include "notifier/outbox/message.h"
#include "notifier/outbox/retry_rule.h"

struct outbox;

struct outbox_terms {
    const char *channel; /* static */
    int most;            /* in flight */
    int each;            /* in flight for one address; 0: all go to one place */
    int64_t lease_ms;    /* longer than the longest delivery */
    struct retry_terms retry;
    /* Whether anything can be delivered now. If it cannot, nothing is claimed; outbox_wake says
     * that it can again. */
    bool (*ready)(void *owner);
    /* Start to deliver it. Ends by outbox_ended, at once or later. */
    void (*deliver)(void *owner, struct message *m);
    void *owner;
};

/* Starts as soon as PostgreSQL and its schema are there. context is borrowed until it is closed. */
struct outbox *outbox_open(const struct context *context, const struct outbox_terms *terms);
/* There may be a message: look at once. */
void outbox_wake(struct outbox *o);
/* An attempt has ended; m is the outbox's again. why: NULL if it was sent; copied. */
void outbox_ended(struct outbox *o, struct message *m, enum message_end end, const char *why);
/* Nothing is in flight, and all that has ended is settled as far as it can be. While the stage
 * drains nothing new is claimed. */
bool outbox_is_idle(const struct outbox *o);
bool outbox_is_ready(const struct outbox *o); /* connected */
/* Nothing is in flight any more, or outbox_ended will still be called for all that is: it is freed
 * behind the last of them. */
void outbox_close(struct outbox *o);

#endif
