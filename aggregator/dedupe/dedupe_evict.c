#include "aggregator/dedupe/dedupe_evict.h"

#include <assert.h>

#define SPAN_MAX     (1U << 30)
#define SWEEP_SPAN   (1U << 29)
#define LOAD_PERCENT 70U /* of all slots, alive and pending; one segment is full at 80 */

_Static_assert(SPAN_MAX + SWEEP_SPAN + 4ULL * DEDUPE_BATCH_MAX < 1ULL << 31,
               "the order of ordinals");

uint32_t oldest_ordinal(const struct dedupe *d)
{
    if (d->ring.count > 0)
        return ring_oldest(&d->ring)->first;
    return d->pending.open ? d->pending.first : d->next;
}

static bool is_recent(const void *owner, uint32_t ordinal)
{
    return !ordinal_is_before(ordinal, oldest_ordinal(owner));
}

static bool is_alive(const void *owner, uint32_t ordinal)
{
    const struct dedupe *d = owner;

    if (d->pending.open && ordinal - d->pending.first < 2 * d->pending.n)
        return true;
    return is_recent(d, ordinal) && ring_find(&d->ring, ordinal) != NULL;
}

/* is_recent is cheaper, and keeps waste until its neighbours expire; where there is much, look. */
static void sweep(struct dedupe *d, struct dedupe_segment *s)
{
    bool wasteful = (d->ring.waste + d->waste) * 8 > d->ring.keys;

    table_sweep(&d->table, s, wasteful ? is_alive : is_recent, d);
}

void drop_oldest(struct dedupe *d)
{
    dedupe_set_since(d, ring_oldest(&d->ring)->id.entry_ms);
    ring_drop_oldest(&d->ring);
}

static void drop_for_room(struct dedupe *d)
{
    d->shrunk += ring_oldest(&d->ring)->id.entry_ms >= d->reading_ms - d->window_ms;
    drop_oldest(d);
}

static bool has_room(const struct dedupe *d, uint32_t n)
{
    uint64_t keys_max = table_slots_max(&d->table) / 100 * LOAD_PERCENT;

    return d->ring.count < d->ring.max && d->ring.keys + n <= keys_max &&
           d->next + 2 * n - oldest_ordinal(d) <= SPAN_MAX;
}

void evict_for_batch(struct dedupe *d, uint32_t n)
{
    while (d->ring.count > 0 && !has_room(d, n))
        drop_for_room(d);
}

void sweep_some(struct dedupe *d, uint32_t ordinals)
{
    d->sweep_due += (uint64_t)ordinals * d->table.segments_count;
    while (d->sweep_due >= SWEEP_SPAN) {
        d->sweep_due -= SWEEP_SPAN;
        sweep(d, &d->table.segments[d->sweep_next]);
        d->sweep_next = (d->sweep_next + 1) % d->table.segments_count;
    }
}

/* A full segment is swept; if that does not help, waste goes too; then the oldest batches. */
void evict_in_segment(struct dedupe *d, struct dedupe_segment *s)
{
    sweep(d, s);
    while (segment_is_full(s)) {
        uint32_t used = s->used;
        table_sweep(&d->table, s, is_alive, d);
        if (s->used == used && segment_is_full(s))
            drop_for_room(d);
    }
}
