/* The machine of a shard, which is one stream of those that a process works on:
 *
 *      OFFLINE ---> LEASING ---> OPENING ---> LOADING ---> RUNNING
 *         ^            |            |            |            |
 *         +------------+------------+------------+------------+      then RELEASING -> ENDED
 *
 * OFFLINE: a peer is away, or a step failed. LEASING: asking for the stream's lease until it is
 * ours. OPENING: recovery.h; is the history intact? LOADING: loading.h; catalog and deduplication
 * table. RUNNING: stream_reader.h reads ahead and batch_loop.h commits batches, side by side.
 * Whatever fails goes back to OFFLINE, forgets what was in flight and reads the position again;
 * that is always safe, because entries leave the stream only after they are in the ledger. */
#ifndef METERLINE_SHARD_STATE_H
#define METERLINE_SHARD_STATE_H

#include <stdbool.h>

enum shard_state {
    SHARD_OFFLINE,
    SHARD_LEASING,
    SHARD_OPENING,
    SHARD_LOADING,
    SHARD_RUNNING,
    SHARD_RELEASING,
    SHARD_ENDED
};

/* Pure. */
bool shard_may_go(enum shard_state from, enum shard_state to);

#endif
