/* The batches whose keys the table knows, oldest first, and which of them an ordinal belongs to.
 *
 * Ordinals are 32 bits and wrap around. They are compared by their distance from the oldest one
 * that is alive, which stays far below 2^31; ordinal 0 is never given out. */
#ifndef METERLINE_DEDUPE_RING_H
#define METERLINE_DEDUPE_RING_H

#include "aggregator/dedupe/dedupe.h"

#include <stddef.h>
#include <stdint.h>

struct ring_batch {
    uint32_t first;         /* ordinal of its first row */
    uint32_t count;         /* rows, so that ordinals are first … first + count - 1 */
    uint32_t keys;          /* of them, those in the table */
    uint64_t waste;         /* slots that were taken before it and belong to no batch */
    struct dedupe_batch id; /* as the caller gave it */
};

struct dedupe_ring {
    struct ring_batch *list; /* a ring of capacity, which is a power of two */
    uint32_t head;           /* the oldest */
    uint32_t count;
    uint32_t capacity;
    uint32_t max;   /* capacity never passes it */
    uint64_t keys;  /* sum of keys */
    uint64_t waste; /* sum of waste */
};

/* bytes: what the list may take. */
void ring_init(struct dedupe_ring *r, size_t bytes);
void ring_done(struct dedupe_ring *r);
/* Not when count is max: drop one first. */
void ring_push(struct dedupe_ring *r, const struct ring_batch *batch);
void ring_drop_oldest(struct dedupe_ring *r);
/* Not when count is 0. */
const struct ring_batch *ring_oldest(const struct dedupe_ring *r);
/* The batch, or NULL if the ordinal is in none. */
const struct ring_batch *ring_find(const struct dedupe_ring *r, uint32_t ordinal);

#endif
