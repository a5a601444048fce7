#include "aggregator/dedupe/dedupe_table.h"

#include "common/str.h"

#include <assert.h>
#include <stdlib.h>

#define SEGMENT_SLOTS_INITIAL 16U
#define SEGMENT_SLOTS_WANTED  8192U /* of a full-grown one, or up to twice as many */
#define SEGMENTS_MAX          (1U << 20)
/* A full segment grows by a quarter of itself, and segments begin with sizes that differ by as
 * much: some have just grown while others are full, so that the table takes 12 bytes a key at any
 * time. */
#define GROWTH        4U
#define ORDINAL_EMPTY 0U

void table_init(struct dedupe_table *t, size_t bytes)
{
    size_t slots = bytes / sizeof(struct dedupe_slot);
    *t = (struct dedupe_table){.segments_count = 1};
    while (t->segments_count <= slots / SEGMENT_SLOTS_WANTED / 2 &&
           t->segments_count < SEGMENTS_MAX)
        t->segments_count *= 2;
    bytes -= t->segments_count * sizeof(*t->segments);
    t->segment_max = (uint32_t)(bytes / sizeof(struct dedupe_slot) / t->segments_count);
    t->segments = xcalloc(t->segments_count, sizeof(*t->segments));
    for (uint32_t i = 0; i < t->segments_count; i++) {
        t->segments[i].size = SEGMENT_SLOTS_INITIAL + i % (SEGMENT_SLOTS_INITIAL / GROWTH + 1);
        t->segments[i].slots = xcalloc(t->segments[i].size, sizeof(struct dedupe_slot));
        t->slots += t->segments[i].size;
    }
}

void table_done(struct dedupe_table *t)
{
    for (uint32_t i = 0; i < t->segments_count; i++)
        free(t->segments[i].slots);
    free(t->segments);
    *t = (struct dedupe_table){0};
}

uint64_t table_slots_max(const struct dedupe_table *t)
{
    return (uint64_t)t->segments_count * t->segment_max;
}

size_t table_used_bytes(const struct dedupe_table *t)
{
    return t->slots * sizeof(struct dedupe_slot) + t->segments_count * sizeof(*t->segments);
}

bool segment_is_full(const struct dedupe_segment *s)
{
    return (uint64_t)(s->used + 1) * 5 > (uint64_t)s->size * 4;
}

void segment_put(struct dedupe_segment *s, uint32_t tag, uint32_t ordinal, uint32_t oldest)
{
    uint32_t i = segment_home(s, tag);
    while (s->slots[i].ordinal != ORDINAL_EMPTY && !ordinal_is_before(s->slots[i].ordinal, oldest))
        i = segment_next(s, i);
    s->used += s->slots[i].ordinal == ORDINAL_EMPTY;
    s->slots[i] = (struct dedupe_slot){.tag = tag, .ordinal = ordinal};
}

static void put_again(struct dedupe_segment *s, struct dedupe_slot slot)
{
    uint32_t i = segment_home(s, slot.tag);
    while (s->slots[i].ordinal != ORDINAL_EMPTY)
        i = segment_next(s, i);
    s->slots[i] = slot;
    s->used++;
}

static void resize(struct dedupe_table *t, struct dedupe_segment *s, uint32_t size)
{
    struct dedupe_segment old = *s;
    s->slots = xcalloc(size, sizeof(*s->slots));
    s->size = size;
    s->used = 0;
    for (uint32_t i = 0; i < old.size; i++)
        if (old.slots[i].ordinal != ORDINAL_EMPTY)
            put_again(s, old.slots[i]);
    free(old.slots);
    t->slots += size;
    t->slots -= old.size;
}

void table_sweep(struct dedupe_table *t, struct dedupe_segment *s, dedupe_alive_fn alive,
                 const void *owner)
{
    uint32_t kept = 0;
    uint32_t size = s->size;
    for (uint32_t i = 0; i < s->size; i++) {
        struct dedupe_slot *slot = &s->slots[i];
        if (slot->ordinal != ORDINAL_EMPTY && !alive(owner, slot->ordinal))
            slot->ordinal = ORDINAL_EMPTY; /* breaks chains, which resize mends */
        kept += slot->ordinal != ORDINAL_EMPTY;
    }
    if ((uint64_t)(kept + 1) * 4 > (uint64_t)size * 3)
        size = size > t->segment_max - size / GROWTH ? t->segment_max : size + size / GROWTH;
    if (kept < s->used || size > s->size)
        resize(t, s, size);
}
