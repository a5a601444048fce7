/* Inside of dedupe: its state, and how it keeps within its memory.
 *
 * Ordinals. A pending batch of up to n events takes 2n: first … first + n - 1 are numbers as
 * inserted, the next n are rows as placed. Once committed it is known by the rows' ordinals, and
 * what was not placed, like all of an aborted batch, is waste: slots whose ordinal belongs to no
 * batch.
 *
 * Why 32 bits suffice. What is alive spans at most SPAN_MAX ordinals, since evict_for_batch drops
 * the oldest batches beyond it. Slots that expired may linger, but every segment is swept once in
 * SWEEP_SPAN ordinals. So no two ordinals in the table are 2^31 apart, and their order is sure. */
#ifndef METERLINE_DEDUPE_EVICT_H
#define METERLINE_DEDUPE_ROOM_H

#include "aggregator/dedupe/dedupe.h"
#include "aggregator/dedupe/dedupe_ring.h"
#include "aggregator/dedupe/dedupe_table.h"

#define DEDUPE_BATCH_MAX (1U << 24)

struct pending {
    bool open;
    uint32_t first;    /* ordinal of number 0 */
    uint32_t n;        /* numbers, and as many rows */
    uint32_t inserted; /* slots taken */
    uint32_t placed;   /* rows of the stored batch so far, … */
    uint32_t skipped;  /* … of which these have no slot */
};

struct dedupe {
    unsigned char key[DEDUPE_KEY_BYTES];
    struct dedupe_table table;
    struct dedupe_ring ring;
    struct pending pending;
    uint32_t next;       /* ordinal after the last one given out */
    uint64_t waste;      /* slots of no batch, taken since the last commit */
    uint32_t sweep_next; /* segment */
    uint64_t sweep_due;  /* segments * ordinals, above SWEEP_SPAN one is due */
    int64_t window_ms;
    int64_t since_ms;   /* batches whose last entry is no younger may be missing */
    int64_t reading_ms; /* the time of the entry that is read next, or earlier */
    uint64_t shrunk;    /* batches dropped for want of memory, not yet told */
};

/* The oldest ordinal that is alive, or the next one if none is. */
uint32_t oldest_ordinal(const struct dedupe *d);
/* Drop the oldest batch: what it held is not known any more. */
void drop_oldest(struct dedupe *d);
/* Drop the oldest batches until n more keys and one more batch fit. */
void evict_for_batch(struct dedupe *d, uint32_t n);
/* So many ordinals were given out or skipped: sweep the segments that are due for it. */
void sweep_some(struct dedupe *d, uint32_t ordinals);
/* Make a full segment take at least one more key. */
void evict_in_segment(struct dedupe *d, struct dedupe_segment *s);

#endif
