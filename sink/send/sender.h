/* Sending: one call in flight a lane (customer and event_name), many lanes side by side, within the
 * rate and the number of calls that are allowed. */
#ifndef METERLINE_SINK_SENDER_H
#define METERLINE_SINK_SENDER_H

#include "sink/config.h"
#include "sink/ledger_check/ledger_check.h"
#include "sink/session.h"

#include <stdbool.h>
#include <stdint.h>

struct sender;

struct sender_status {
    int in_hand;         /* in flight, or not in the database yet, or being picked */
    bool looked;         /* every lane was looked at, and nothing is due */
    bool waits;          /* something is pending, due or not, or was left by a dead sink */
    bool on_hold;        /* ledger_state.sink_hold */
    bool blocked;        /* Stripe is away or refuses our key */
    bool refused;        /* … our key */
    bool meter_refused;  /* a meter was at fault, since sender_forget_meter */
    int64_t progress_ms; /* monotonic: when the last one was settled for good */
    int64_t sent;        /* since the start */
    int64_t delayed;
};

/* ledger_check: borrowed. on_change: after each exchange with the database, and when the last call
 * has ended; from the loop. */
struct sender *sender_open(struct stage *stage, const struct config *config,
                           struct ledger_check *ledger_check, void (*on_change)(void *owner),
                           void *owner);

/* Pick from now on; nothing is before this was called. */
void sender_begin(struct sender *s);
/* There may be something new to send: look at every lane again. */
void sender_wake(struct sender *s);
/* The meter that a call found at fault is being looked into. */
void sender_forget_meter(struct sender *s);
struct sender_status sender_status(const struct sender *s);
/* Appends what is missing to why, and returns false, while its connection is not usable. */
bool sender_is_usable(const struct sender *s, struct buf *why);

/* Pick nothing more. What is in flight ends and is settled; what is still in flight after
 * patience_ms is given up (outcome unknown: the same bytes go out again later). */
void sender_stop(struct sender *s, uint64_t patience_ms);
/* closed runs from the loop when s is freed. */
void sender_close(struct sender *s, void (*closed)(void *owner), void *owner);

#endif
