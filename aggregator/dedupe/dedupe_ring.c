#include "aggregator/dedupe/dedupe_ring.h"

#include "common/str.h"

#include <assert.h>
#include <stdlib.h>

#define CAPACITY_INITIAL 64U

void ring_init(struct dedupe_ring *r, size_t bytes)
{
    size_t fit = bytes / sizeof(struct ring_batch);
    *r = (struct dedupe_ring){.max = CAPACITY_INITIAL};
    while (r->max <= fit / 2 && r->max < 1U << 30)
        r->max *= 2;
}

void ring_done(struct dedupe_ring *r)
{
    free(r->list);
    *r = (struct dedupe_ring){0};
}

static struct ring_batch *at(const struct dedupe_ring *r, uint32_t i)
{
    return &r->list[(r->head + i) & (r->capacity - 1)];
}

static void grow(struct dedupe_ring *r)
{
    uint32_t capacity = r->capacity == 0 ? CAPACITY_INITIAL : r->capacity * 2;
    struct ring_batch *list = xmalloc(capacity * sizeof(*list));
    for (uint32_t i = 0; i < r->count; i++)
        list[i] = *at(r, i);
    free(r->list);
    r->list = list;
    r->head = 0;
    r->capacity = capacity;
}

void ring_push(struct dedupe_ring *r, const struct ring_batch *batch)
{
    assert(r->count < r->max);
    if (r->count == r->capacity)
        grow(r);
    *at(r, r->count) = *batch;
    r->count++;
    r->keys += batch->keys;
    r->waste += batch->waste;
}

void ring_drop_oldest(struct dedupe_ring *r)
{
    const struct ring_batch *oldest = ring_oldest(r);
    r->keys -= oldest->keys;
    r->waste -= oldest->waste;
    r->head = (r->head + 1) & (r->capacity - 1);
    r->count--;
}

const struct ring_batch *ring_oldest(const struct dedupe_ring *r)
{
    assert(r->count > 0);
    return at(r, 0);
}

/* Bisects by the distance from the oldest ordinal, which grows along the ring even where the
 * ordinals themselves wrap around. */
const struct ring_batch *ring_find(const struct dedupe_ring *r, uint32_t ordinal)
{
    uint32_t low = 0;
    uint32_t high = r->count;
    uint32_t base = r->count == 0 ? 0 : at(r, 0)->first;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (at(r, middle)->first - base <= ordinal - base)
            low = middle;
        else
            high = middle;
    }
    if (low == high)
        return NULL;
    const struct ring_batch *found = at(r, low);
    return ordinal - found->first < found->count ? found : NULL;
}
