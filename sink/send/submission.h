/* One submission in our hands: picked, tried, and with its outcome until that is in the database.
 */
#ifndef METERLINE_SINK_SUBMISSION_H
#define METERLINE_SINK_SUBMISSION_H

#include "sink/send/settle_rule.h"
#include "sink/transport/transport.h"

#include <stdbool.h>
#include <stdint.h>

enum { REQUEST_ID_SIZE = 128 };

struct submission {
    char *identifier;
    char *customer;
    char *event_name;
    char *subscription_item; /* or NULL */
    struct dec quantity;
    char *body; /* the exact bytes */
    const struct transport *transport;
    int64_t attempt;               /* this try's number, from 1 */
    bool sent_before;              /* an earlier try may have reached Stripe */
    int64_t spent_keys;            /* tells the key of this try: see common/stripe/identifier.h */
    int64_t begin_until_ms;        /* monotonic: no try begins later, the lease would not last */
    struct settle_outcome outcome; /* once the try has ended */
    int64_t wait_ms;               /* before the next try */
    char request_id[REQUEST_ID_SIZE]; /* Stripe's, printable; "" for none */
    struct submission *next;          /* in its queue */
};

void submission_free(struct submission *s);

/* First in, first out. Zero-initialise. Owns what it holds. */
struct submission_queue {
    struct submission *first;
    struct submission *last;
    int count;
};
void submission_queue_add_take(struct submission_queue *q, struct submission *s);
/* The first one, which is the caller's then, or NULL. */
struct submission *submission_queue_pop(struct submission_queue *q);
/* All of from behind what is in to; from is empty then. */
void submission_queue_move(struct submission_queue *to, struct submission_queue *from);
/* The first most of from, or all of it. */
void submission_queue_move_some(struct submission_queue *to, struct submission_queue *from,
                                int most);
void submission_queue_done(struct submission_queue *q);

#endif
