/* Events between emit and Redis, in order: segments in a folder of this process's own, or in memory
 * alone if there is none.
 *
 * Any thread appends; one thread reads and settles. What was appended is read by the next process
 * that opens the folder, if this one dies first. What Redis acknowledged just before may then be
 * read again: it has the same id, so it counts once.
 *
 * Failure modes. The folder cannot be written, or another process has it: spool_open fails. The
 * spool is as large as it may be: SPOOL_FULL. The disk is full: SPOOL_FAILED, with the reason.
 * Segments that cannot be read are left where they are, and told to on_fault. */
#ifndef METERLINE_EMITTER_SPOOL_H
#define METERLINE_EMITTER_SPOOL_H

#include "common/err.h"
#include "emitter/spool/segment.h"

#include <stdbool.h>
#include <stdint.h>

struct spool; /* opaque */

enum spool_sync {
    SPOOL_SYNC_NEVER,  /* it outlives the process, but not always the machine */
    SPOOL_SYNC_OFTEN,  /* by spool_maintain */
    SPOOL_SYNC_ALWAYS, /* before spool_append returns */
};

struct spool_terms {
    const char *folder; /* copied; made if it is not there; NULL: memory alone */
    uint64_t max_bytes; /* of all segments; at least two segments */
    size_t segment_bytes;
    enum spool_sync sync;
    /* Something was left unread, or could not be written to disk. Any thread; may be NULL. */
    void (*on_fault)(void *owner, const char *text);
    void *owner;
};

enum spool_result { SPOOL_DONE = 0, SPOOL_FULL = -1, SPOOL_FAILED = -2 };

/* Where a record ends, for spool_settle. */
struct spool_place {
    struct segment *segment;
    size_t end;
};

/* Returns NULL with e. */
struct spool *spool_open(const struct spool_terms *terms, struct err *e);
/* Frees it. What was not settled stays in the folder. Nobody appends any more. */
void spool_close(struct spool *s);

/* Any thread. data: copied. wait_ms: how long to wait for room. e: filled if SPOOL_FAILED. */
enum spool_result spool_append(struct spool *s, int64_t shard, const char *data, size_t length,
                               int64_t wait_ms, struct err *e);

/* The thread that reads. Returns 1 and a record, or 0: there is none now. */
int spool_next(struct spool *s, struct segment_record *out, struct spool_place *place);
/* All records up to there are in Redis. */
void spool_settle(struct spool *s, struct spool_place place);
/* Every few milliseconds: makes room ahead, and brings to disk what is not there. */
void spool_maintain(struct spool *s);
/* Until there may be a record, spool_wake, or timeout_ms are over. */
void spool_wait(struct spool *s, int64_t timeout_ms);

/* Any thread. */
void spool_wake(struct spool *s);
uint64_t spool_bytes(struct spool *s);    /* that its segments take */
uint64_t spool_appended(struct spool *s); /* records, in the order that they are read in */

#endif
