/* Submissions that this process works on, and the exchange with the database that brings them.
 *
 * One exchange settles the tries that ended and picks the next submissions, in one round trip and
 * one transaction. What was picked is committed before the caller gets it, so that first_sent_at is
 * in the database before the first byte is on its way. */
#ifndef METERLINE_SINK_SUBMISSION_STORE_H
#define METERLINE_SINK_SUBMISSION_STORE_H

#include "common/redis/epoch_mark.h"
#include "sink/send/settle_rule.h"
#include "sink/session.h"
#include "sink/transport/transport.h"

#include <stdbool.h>
#include <stdint.h>

enum { REQUEST_ID_SIZE = 128 };

/* From its pick until its outcome is in the database. */
struct submission {
    char *identifier;
    char *customer;
    char *event_name;
    char *subscription_item; /* or NULL */
    struct dec quantity;
    char *body; /* the exact bytes */
    char *path; /* of its call; NULL until stripe_caller_accepts */
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
/* The outcome of a try that we did not make: nothing was sent, and it may go out at once. */
void submission_set_untried(struct submission *s);

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

/* Who asks, on what terms. Borrowed until submission_store_run returns. */
struct store_terms {
    const char *owner;    /* this process */
    int64_t lease_ms;     /* longer than any call */
    int calls;            /* to be filled: one submission each, or 100 of the stream; of a mix one
                             call more may come out; 0: settle only */
    const char *customer; /* the lane after which to go on; "" for the first */
    const char *event_name;
};

struct store_answer {
    bool on_hold;                  /* ledger_state.sink_hold: nothing was picked */
    bool unchecked;                /* the ledger may be an older one: nothing was picked */
    int64_t picks;                 /* number of this pick; 0: nothing is to be sent */
    char ledger[EPOCH_TOKEN_SIZE]; /* which ledger counts it */
    bool waits;                    /* something is pending, due or not */
    bool abandoned;                /* the lease of a dead sink's call has passed */
    bool any;                      /* something was picked */
    int cost; /* hundredths of calls, of what was picked or retired; less than asked for: the last
                 lane was seen */
    struct submission_queue
        picked[TRANSPORT_COUNT]; /* to be sent now, by transport; the caller's */
    char *customer;              /* the last lane seen, or NULL; the caller's */
    char *event_name;
};

/* Runs once, from the loop. error NULL: answer is filled. Otherwise nothing was written, or the
 * outcome is unknown: settle the same tries again, which is harmless. What was picked unseen comes
 * back when its lease has passed. */
typedef void (*store_done_fn)(void *owner, const struct err *error, struct store_answer *answer);

/* The session must be idle. ended: the tries to settle, borrowed until this returns. */
void submission_store_run(struct session *session, const struct submission_queue *ended,
                          const struct store_terms *terms, store_done_fn done, void *owner);

#endif
