/* What the files of the sender share. */
#ifndef METERLINE_SINK_SENDER_INTERNAL_H
#define METERLINE_SINK_SENDER_INTERNAL_H

#include "common/log.h"
#include "sink/send/bisect.h"
#include "sink/send/send_limits.h"
#include "sink/send/sender.h"
#include "sink/send/submission_store.h"

#include <uv.h>

enum sender_state { REST, STORING };

struct sender {
    struct stage *stage;
    struct session *session;
    struct ledger_check *ledger_check; /* borrowed */
    struct stripe_caller *caller;      /* NULL once it is being closed */
    uv_timer_t timer;
    uv_timer_t patience; /* until calls in flight are given up */
    enum sender_state state;
    struct send_limits limits;
    struct submission_queue ready[TRANSPORT_COUNT]; /* picked, and without a place yet */
    struct submission_queue ended;                  /* with an outcome, not yet in the database */
    struct submission_queue settling;               /* in the turn that is under way */
    int max_in_flight;
    int max_ready;  /* calls */
    int next_ready; /* the transport whose turn was last */
    int in_flight;  /* batches, each of which has one call in flight */
    int settle_max; /* of one turn; less while one is looked for that the database refuses */
    int64_t lease_ms;
    int64_t store_started_ms; /* monotonic */
    int asked;                /* calls of the turn under way */
    bool begun;               /* sender_begin was called */
    bool noting;              /* Redis is being told of the last pick: no call begins before */
    bool woken;               /* since it began: there may be more than it has seen */
    char owner_id[UUID_TEXT_SIZE];
    char *customer; /* the lane after which to go on; NULL: from the first */
    char *event_name;
    bool stopping;
    bool closing;
    struct sender_status status;
    struct log_repeat holds;
    struct log_repeat store_failures;
    void (*on_change)(void *owner);
    void *owner;
    void (*closed)(void *owner);
    void *closed_owner;
    int handles;
};

/* Begin a turn if something ended or may be due, else set the timer. Does nothing during a turn. */
void sender_pump(struct sender *s);
/* A submission's try has ended, or was not made. */
void sender_keep_outcome(struct sender *s, struct submission *x);
/* Calls of what is ready, as many as have a place; all of it is given up where none may begin. */
void sender_begin_calls(struct sender *s);
void sender_give_up_ready(struct sender *s);
int sender_ready_count(const struct sender *s);
/* How many calls the submissions take, by transport. */
int sender_calls_of(const struct submission_queue queues[TRANSPORT_COUNT]);
/* A batch's call has ended. */
void sender_take_call(void *owner, struct submission_queue *ended,
                      const struct settle_outcome *outcome, bool over);
/* When to look again, if nothing happens before. */
void sender_arm_timer(struct sender *s);

#endif
