/* The state of the deduplication table, for dedupe.c and its test.
 *
 * Ordinals. A pending batch of up to n events takes 2n: first to first + n - 1 are its events as
 * inserted, the next n are its rows as placed. Once committed the batch is known by the rows'
 * ordinals. What was not placed, and all of an aborted batch, is waste: slots whose ordinal belongs
 * to no batch.
 *
 * Why 32 bits suffice. What is alive spans at most SPAN_MAX ordinals, since older batches are
 * evicted beyond it. Slots that expired may linger, but every segment is swept once in SWEEP_SPAN
 * ordinals. So no two ordinals in the table are 2^31 apart, and their order is certain. */
#ifndef METERLINE_DEDUPE_INTERNAL_H
#define METERLINE_DEDUPE_INTERNAL_H

#include "aggregator/dedupe/dedupe.h"
#include "aggregator/dedupe/dedupe_ring.h"
#include "aggregator/dedupe/dedupe_table.h"

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

#endif
