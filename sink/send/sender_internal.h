/* What the files of the sender share. */
#ifndef METERLINE_SINK_SENDER_INTERNAL_H
#define METERLINE_SINK_SENDER_INTERNAL_H

#include "common/closing.h"
#include "common/log.h"
#include "sink/send/bisect.h"
#include "sink/send/send_limits.h"
#include "sink/send/sender.h"
#include "sink/send/submission_store.h"

#include <uv.h>

enum sender_state { SENDER_RESTING, SENDER_STORING };

struct sender {
    struct session *session;
    struct ledger_check *ledger_check; /* borrowed */
    struct stripe_caller *caller;      /* NULL once it is being closed */
    bool caller_closing;               /* … and until it is closed */
    uv_timer_t timer;
    uv_timer_t patience; /* until calls in flight are given up */
    enum sender_state state;
    struct send_limits limits;
    struct submission_queue ready[TRANSPORT_COUNT]; /* picked, waiting for a call to end */
    struct submission_queue ended;                  /* with an outcome, not yet in the database */
    struct submission_queue settling;               /* in the exchange that is under way */
    int max_in_flight;
    int max_ready;  /* calls */
    int last_ready; /* index of the transport that the last call was of */
    int in_flight;  /* batches, each of which has one call in flight */
    int settle_max; /* of one exchange; less while one is looked for that the database refuses */
    int64_t lease_ms;
    int64_t exchange_began_ms; /* monotonic */
    int asked;                 /* calls of the exchange under way */
    bool begun;                /* sender_begin was called */
    bool noting;               /* Redis is being told of the last pick: no call begins before */
    bool woken;                /* since the exchange began: there may be more than it has seen */
    char owner_id[UUID_TEXT_SIZE];
    char *customer; /* the lane after which to go on; NULL: from the first */
    char *event_name;
    bool stopping;
    struct sender_status status;
    struct log_repeat holds;
    struct log_repeat failures; /* of exchanges */
    void (*on_change)(void *owner);
    void *owner;
    struct closing closing;
};

/* Begin an exchange if something ended or may be due, else set the timer. Does nothing while one is
 * under way. */
void sender_pump(struct sender *s);
/* Begin calls of what is ready, as many as may be in flight; all of it is given up where no call
 * may begin. */
void sender_begin_calls(struct sender *s);
void sender_give_up_ready(struct sender *s);
/* How many calls the submissions take. */
int sender_calls_of(const struct submission_queue queues[TRANSPORT_COUNT]);
/* When to look again, if nothing happens before. */
void sender_arm_timer(struct sender *s);

#endif
