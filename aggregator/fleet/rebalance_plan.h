/* Which streams a process takes and which it hands over, decided at each heartbeat. Pure.
 *
 * Each process works out its share from how many run and how many joined before it. The shares are
 * even and add up to all streams, so no process has to ask another. A process that has more than
 * its share hands the surplus over: it finishes the batch in hand and gives the lease back. One
 * that has less takes streams that are free, or whose lease has ended because their process died.
 * None takes more than its share, so that a stream that was handed over does not come back.
 *
 * Retired streams are those of an earlier number of shards. The oldest process looks after them.
 * When the number changes, `meterctl reshard` takes all leases away, so that nothing more is
 * counted by the old number. A process gives up all its streams before it goes by the new one. */
#ifndef METERLINE_REBALANCE_PLAN_H
#define METERLINE_REBALANCE_PLAN_H

#include "aggregator/stream/stream_name.h"

#include <stdbool.h>
#include <stdint.h>

/* A stream that has a position in the ledger. */
struct known_stream {
    const char *name;  /* borrowed */
    bool mine;         /* its lease has this process' name */
    bool free;         /* without a lease, or its lease has ended */
    bool retired;      /* of a number of shards that is not in force any more */
    bool pending_sums; /* and left with sums that are not in minute rows and totals yet */
};

/* What a heartbeat found. */
struct beat {
    int64_t shards;  /* as the database has it */
    int64_t running; /* processes that run and can work */
    int64_t older;   /* of them, those that joined before this one */
    const struct known_stream *streams;
    int streams_count;
};

/* A stream that this process works on. */
struct held_stream {
    const char *name; /* borrowed */
    bool retired;
    bool leaving; /* it is on its way to another process already */
    bool renewed; /* this process has its lease as far as it knows, and the heartbeat was to renew
                     it */
};

/* What this process has and is. */
struct holding {
    int64_t shards; /* as this process knows it; 0: not yet */
    const struct held_stream *held;
    int held_count;
    bool may_work;  /* it told the others that it can work */
    bool once;      /* it wants every stream, and waits a while for those that others have */
    bool all_taken; /* once: it has them */
};

struct taken_stream {
    char name[STREAM_NAME_SIZE];
    int number; /* or RETIRED */
};

/* Numbers are indices, in held or in the beat's streams; what is done is done in this order. */
struct rebalance_plan {
    bool follow; /* the database has another number: give up all; then go by it */
    int *lost;   /* of held: their leases are another's */
    int lost_count;
    int *hand_over; /* of held: the surplus */
    int hand_over_count;
    int *give_up; /* of held: not this process' to have, without being a surplus */
    int give_up_count;
    struct taken_stream *take;
    int take_count;
    int *retired; /* of the beat's streams: to be looked after, if they are there */
    int retired_count;
    bool balanced; /* this process has part in the sharing, and … */
    bool oldest;   /* … is the oldest */
};

/* Freed by rebalance_plan_done. */
struct rebalance_plan rebalance_plan(const struct beat *beat, const struct holding *h);
void rebalance_plan_done(struct rebalance_plan *p);

/* The share of the process that `older` of the `running` ones joined before. The shares of all of
 * them add up to shards, and one more that joins takes from others without giving to any. */
int64_t rebalance_share(int64_t shards, int64_t running, int64_t older);
/* Where that process looks first for a free stream, from 0 to shards - 1: each one elsewhere, so
 * that two seldom ask for the same. */
int64_t rebalance_start(int64_t shards, int64_t running, int64_t older);

#endif
