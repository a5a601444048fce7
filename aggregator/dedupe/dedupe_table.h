/* The slots: open addressing, cut into many small segments that grow and are swept one by one.
 *
 * One half of the hash picks the segment, which never changes; the stored 32 bits of the other half
 * pick the place in it. So a segment is rebuilt from its slots alone, in microseconds, there is
 * never a second copy of the whole table, and a tag only meets the keys of its own segment. */
#ifndef METERLINE_DEDUPE_TABLE_H
#define METERLINE_DEDUPE_TABLE_H

#include "aggregator/dedupe/dedupe.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dedupe_slot {
    uint32_t tag;     /* of the key's hash */
    uint32_t ordinal; /* 0: empty */
};

struct dedupe_segment {
    struct dedupe_slot *slots; /* size of them; probed linearly from tag * size / 2^32 */
    uint32_t size;
    uint32_t used; /* not empty: alive, expired or waste */
};

struct dedupe_table {
    struct dedupe_segment *segments;
    uint32_t segments_count; /* a power of two */
    uint32_t segment_max;    /* slots of one segment at most */
    uint64_t slots;          /* allocated in all */
};

/* What a sweep keeps. */
typedef bool (*dedupe_alive_fn)(const void *owner, uint32_t ordinal);

/* bytes: what directory and slots may take; at least DEDUPE_MEMORY_MIN_BYTES / 2. */
void table_init(struct dedupe_table *t, size_t bytes);
void table_done(struct dedupe_table *t);
uint64_t table_slots_max(const struct dedupe_table *t);
size_t table_used_bytes(const struct dedupe_table *t);

static inline struct dedupe_segment *table_segment(const struct dedupe_table *t,
                                                   const struct dedupe_hash *hash)
{
    return &t->segments[hash->place & (t->segments_count - 1)];
}

static inline uint32_t segment_home(const struct dedupe_segment *s, uint32_t tag)
{
    return (uint32_t)((uint64_t)tag * s->size >> 32);
}

static inline uint32_t segment_next(const struct dedupe_segment *s, uint32_t i)
{
    return i + 1 == s->size ? 0 : i + 1;
}

/* Above four fifths; nothing may be put then. */
bool segment_is_full(const struct dedupe_segment *s);
/* Take the first free slot: an empty one, or one whose ordinal lies before oldest. */
void segment_put(struct dedupe_segment *s, uint32_t tag, uint32_t ordinal, uint32_t oldest);
/* Drop what is not alive; then grow, up to segment_max, if much of it is taken. */
void table_sweep(struct dedupe_table *t, struct dedupe_segment *s, dedupe_alive_fn alive,
                 const void *owner);

/* Is the ordinal before the oldest one that is alive? Distances stay below 2^31: see dedupe.c. */
static inline bool ordinal_is_before(uint32_t ordinal, uint32_t oldest)
{
    return (int32_t)(ordinal - oldest) < 0;
}

#endif
