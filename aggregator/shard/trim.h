/* Trimming the stream, after COMMIT and only then. In the same step the consumer group is moved to
 * the position, so that exporters show the lag. A crash before it does no harm: reading begins at
 * the position in the ledger, which is past those entries. */
#ifndef METERLINE_TRIM_H
#define METERLINE_TRIM_H

#include "aggregator/ledger/ledger.h"
#include "aggregator/shard/history.h"

#include <stdbool.h>
#include <stdint.h>

/* What a trimming had to do. */
struct trim_seen {
    struct entry_id last; /* the position's entry … */
    uint64_t accounted;   /* … and its base + processed + lost */
    bool all;             /* everything committed was trimmed: what is left waits */
};

/* What it did, and found in the same step. */
struct trimmed {
    struct trim_seen seen;
    uint64_t entries; /* that left the stream */
    struct history stream;
};

/* error ERR_FENCED: another process has gone on from there. trimmed: borrowed; NULL with an error.
 */
typedef void (*trim_done_fn)(void *owner, const struct err *error, const struct trimmed *trimmed);

/* keep_ms: entries are kept so long. done runs once, from the loop. */
void trim_run(struct redis *r, const char *stream, const struct position *p, int64_t keep_ms,
              trim_done_fn done, void *owner);
/* The position as it is after that. */
void trim_note(struct position *p, const struct trimmed *t);

#endif
