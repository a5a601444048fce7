/* One turn with the database: settle the tries that ended, then pick the next submissions, in one
 * round trip and one transaction. What was picked is committed before it is given to the caller, so
 * that first_sent_at is in the database before the first byte is on its way. */
#ifndef METERLINE_SINK_SUBMISSION_STORE_H
#define METERLINE_SINK_SUBMISSION_STORE_H

#include "common/redis/epoch_mark.h"
#include "sink/send/submission.h"
#include "sink/session.h"

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
    bool held;                     /* ledger_state.sink_hold: nothing was picked */
    bool doubt;                    /* the ledger may be an older one: likewise */
    int64_t picks;                 /* number of this pick; 0: nothing is to be sent */
    char ledger[EPOCH_TOKEN_SIZE]; /* whose */
    bool waits;                    /* something is pending, due or not */
    bool abandoned;                /* a dead sink's call has lost its lease */
    bool any;                      /* something was picked */
    int cost; /* hundredths of calls, of what was picked or retired; less than asked for: the last
                 lane was seen */
    struct submission_queue
        picked[TRANSPORT_COUNT]; /* to be sent now, by transport; the caller's */
    char *customer;              /* the last lane seen, or NULL; the caller's */
    char *event_name;
};

/* error NULL: answer is filled. Otherwise nothing was written, or the outcome is unknown: settle
 * again what was to be settled (that is harmless); what was picked unseen comes back when its lease
 * has passed. From the loop, once. */
typedef void (*store_done_fn)(void *owner, const struct err *error, struct store_answer *answer);

/* The session must be idle. ended: the tries to settle, borrowed until this returns. */
void submission_store_run(struct session *session, const struct submission_queue *ended,
                          const struct store_terms *terms, store_done_fn done, void *owner);

#endif
