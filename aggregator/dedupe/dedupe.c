#include "aggregator/dedupe/dedupe_internal.h"

#include "common/str.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#define RING_FRACTION 16U /* one part in so many of the memory is for batches */
#define HASH_INPUT    1024U
#define SPAN_MAX      (1U << 30)
#define SWEEP_SPAN    (1U << 29)
#define LOAD_PERCENT  70U /* of all slots, alive and pending; one segment is full at 80 */
#define BATCH_MAX     (1U << 24)

_Static_assert(SPAN_MAX + SWEEP_SPAN + 4ULL * BATCH_MAX < 1ULL << 31, "the order of ordinals");

struct dedupe *dedupe_new(size_t memory_bytes, int64_t window_ms,
                          const unsigned char key[DEDUPE_KEY_BYTES])
{
    struct dedupe *d = xcalloc(1, sizeof(*d));
    size_t ring_bytes = memory_bytes / RING_FRACTION;
    assert(memory_bytes >= DEDUPE_MEMORY_MIN_BYTES);
    memcpy(d->key, key, sizeof(d->key));
    table_init(&d->table, memory_bytes - ring_bytes);
    ring_init(&d->ring, ring_bytes);
    d->next = 1;
    d->window_ms = window_ms;
    d->since_ms = INT64_MIN;
    return d;
}

void dedupe_free(struct dedupe *d)
{
    if (!d)
        return;
    table_done(&d->table);
    ring_done(&d->ring);
    free(d);
}

uint32_t dedupe_batch_max(const struct dedupe *d)
{
    uint64_t quarter = table_slots_max(&d->table) / 4;
    return quarter < BATCH_MAX ? (uint32_t)quarter : BATCH_MAX;
}

static unsigned char *put_text(unsigned char *at, struct text t)
{
    memcpy(at, &t.length, sizeof(t.length));
    at += sizeof(t.length);
    if (t.length > 0)
        memcpy(at, t.data, t.length);
    return at + t.length;
}

struct dedupe_hash dedupe_hash(const struct dedupe *d, enum id_domain domain, struct text tenant,
                               struct text id)
{
    unsigned char input[HASH_INPUT];
    unsigned char *end = input;
    assert(tenant.length <= HASH_INPUT / 4 && id.length <= HASH_INPUT / 2);
    *end++ = (unsigned char)domain;
    end = put_text(end, tenant);
    end = put_text(end, id);
    struct dedupe_hash hash;
    _Static_assert(sizeof(hash) == crypto_shorthash_siphashx24_BYTES, "all 128 bits");
    crypto_shorthash_siphashx24((unsigned char *)&hash, input, (size_t)(end - input), d->key);
    return hash;
}

void dedupe_prefetch(const struct dedupe *d, const struct dedupe_hash *hash)
{
    const struct dedupe_segment *s = table_segment(&d->table, hash);
    __builtin_prefetch(&s->slots[segment_home(s, (uint32_t)hash->tag)], 1);
}

/* Keeping within the memory. */

/* The oldest ordinal that is alive, or the next one if none is. */
static uint32_t oldest_ordinal(const struct dedupe *d)
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
    return is_recent(d, ordinal) && ring_find(&d->ring, ordinal);
}

/* is_recent is cheaper, and keeps waste until its neighbours expire; where there is much, look. */
static void sweep(struct dedupe *d, struct dedupe_segment *s)
{
    bool wasteful = (d->ring.waste + d->waste) * 8 > d->ring.keys;
    table_sweep(&d->table, s, wasteful ? is_alive : is_recent, d);
}

static void drop_oldest(struct dedupe *d)
{
    dedupe_set_since(d, ring_oldest(&d->ring)->id.entry_ms);
    ring_drop_oldest(&d->ring);
}

static void evict_oldest(struct dedupe *d)
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

static void evict_for_batch(struct dedupe *d, uint32_t n)
{
    while (d->ring.count > 0 && !has_room(d, n))
        evict_oldest(d);
}

static void sweep_some(struct dedupe *d, uint32_t ordinals)
{
    d->sweep_due += (uint64_t)ordinals * d->table.segments_count;
    while (d->sweep_due >= SWEEP_SPAN) {
        d->sweep_due -= SWEEP_SPAN;
        sweep(d, &d->table.segments[d->sweep_next]);
        d->sweep_next = (d->sweep_next + 1) % d->table.segments_count;
    }
}

/* A full segment is swept; if that does not help, waste goes too; then the oldest batches. */
static void evict_in_segment(struct dedupe *d, struct dedupe_segment *s)
{
    sweep(d, s);
    while (segment_is_full(s)) {
        uint32_t used = s->used;
        table_sweep(&d->table, s, is_alive, d);
        if (s->used == used && segment_is_full(s))
            evict_oldest(d);
    }
}

/* The pending batch. */

void dedupe_begin(struct dedupe *d, uint32_t n)
{
    uint32_t skipped = 0;
    assert(!d->pending.open && n <= dedupe_batch_max(d));
    if (d->next == 0 || d->next > UINT32_MAX - 2 * n) { /* a batch never wraps, nor takes 0 */
        skipped = 1 - d->next;
        d->next = 1;
    }
    evict_for_batch(d, n);
    d->pending = (struct pending){.open = true, .first = d->next, .n = n};
    sweep_some(d, skipped + 2 * n);
}

/* Where a batch is alive, tell which row. slice_counts add up to its count. */
static void tell_row(const struct ring_batch *batch, uint32_t ordinal, struct dedupe_hit *hit)
{
    uint32_t row = ordinal - batch->first;
    uint32_t slice = 0;
    while (row >= batch->id.slice_counts[slice])
        row -= batch->id.slice_counts[slice++];
    *hit = (struct dedupe_hit){
        .batch_id = batch->id.batch_id,
        .day = batch->id.day,
        .epoch = batch->id.epoch,
        .slice = slice,
        .row = row,
    };
}

static bool resolve(const struct dedupe *d, uint32_t ordinal, struct dedupe_hit *hit)
{
    uint32_t number = ordinal - d->pending.first;
    if (d->pending.open && number < 2 * d->pending.n) {
        assert(number < d->pending.n); /* nothing is probed once placing has begun */
        *hit = (struct dedupe_hit){.pending = true, .number = number};
        return true;
    }
    if (ordinal_is_before(ordinal, oldest_ordinal(d)))
        return false;
    const struct ring_batch *batch = ring_find(&d->ring, ordinal);
    if (batch)
        tell_row(batch, ordinal, hit);
    return batch;
}

int dedupe_probe(const struct dedupe *d, const struct dedupe_hash *hash, struct dedupe_hit *hits,
                 int max)
{
    const struct dedupe_segment *s = table_segment(&d->table, hash);
    uint32_t tag = (uint32_t)hash->tag;
    struct dedupe_hit hit;
    int found = 0;
    for (uint32_t i = segment_home(s, tag); s->slots[i].ordinal != 0; i = segment_next(s, i)) {
        if (s->slots[i].tag != tag || !resolve(d, s->slots[i].ordinal, &hit))
            continue;
        if (found < max)
            hits[found] = hit;
        found++;
    }
    return found;
}

static void insert(struct dedupe *d, const struct dedupe_hash *hash, uint32_t ordinal)
{
    struct dedupe_segment *s = table_segment(&d->table, hash);
    if (segment_is_full(s))
        evict_in_segment(d, s);
    segment_put(s, (uint32_t)hash->tag, ordinal, oldest_ordinal(d));
    d->pending.inserted++;
}

void dedupe_insert(struct dedupe *d, const struct dedupe_hash *hash, uint32_t number)
{
    assert(d->pending.open && number < d->pending.n);
    insert(d, hash, d->pending.first + number);
}

void dedupe_load(struct dedupe *d, const struct dedupe_hash *hash, uint32_t row)
{
    assert(d->pending.open && row < d->pending.n);
    insert(d, hash, d->pending.first + d->pending.n + row);
    d->pending.placed++;
}

void dedupe_skip(struct dedupe *d)
{
    assert(d->pending.open && d->pending.placed < d->pending.n);
    d->pending.placed++;
    d->pending.skipped++;
}

void dedupe_place(struct dedupe *d, const struct dedupe_hash *hash, uint32_t number, uint32_t row)
{
    struct dedupe_segment *s = table_segment(&d->table, hash);
    uint32_t i = segment_home(s, (uint32_t)hash->tag);
    uint32_t ordinal = d->pending.first + number;
    assert(d->pending.open && number < d->pending.n && row < d->pending.n);
    for (; s->slots[i].ordinal != ordinal; i = segment_next(s, i))
        assert(s->slots[i].ordinal != 0); /* it was inserted */
    s->slots[i].ordinal = d->pending.first + d->pending.n + row;
    d->pending.placed++;
}

void dedupe_commit(struct dedupe *d, const struct dedupe_batch *batch)
{
    uint32_t keys = d->pending.placed - d->pending.skipped;
    struct ring_batch stored = {
        .first = d->pending.first + d->pending.n,
        .keys = keys,
        .waste = d->waste + d->pending.inserted - keys,
        .id = *batch,
    };
    for (int i = 0; i < SLICES; i++)
        stored.count += batch->slice_counts[i];
    assert(d->pending.open && stored.count == d->pending.placed);
    d->pending.open = false;
    d->next = stored.first + stored.count;
    if (keys == 0) {
        d->waste = stored.waste;
        return;
    }
    d->waste = 0;
    ring_push(&d->ring, &stored);
}

void dedupe_abort(struct dedupe *d)
{
    assert(d->pending.open);
    d->pending.open = false;
    d->waste += d->pending.inserted;
    d->next = d->pending.first + 2 * d->pending.n;
}

void dedupe_read_from(struct dedupe *d, int64_t reading_ms)
{
    d->reading_ms = reading_ms;
}

static bool has_left(const struct dedupe *d, const struct dedupe_batch *batch, int64_t now_ms)
{
    return batch->entry_ms < d->reading_ms - d->window_ms - DEDUPE_SLACK_MS &&
           batch->committed_ms < now_ms - d->window_ms;
}

void dedupe_expire(struct dedupe *d, int64_t now_ms)
{
    while (d->ring.count > 0 && has_left(d, &ring_oldest(&d->ring)->id, now_ms))
        drop_oldest(d);
}

void dedupe_set_since(struct dedupe *d, int64_t since_ms)
{
    if (since_ms > d->since_ms)
        d->since_ms = since_ms;
}

int64_t dedupe_window_ms(const struct dedupe *d)
{
    if (d->since_ms < d->reading_ms - d->window_ms)
        return d->window_ms;
    return d->reading_ms > d->since_ms ? d->reading_ms - d->since_ms : 0;
}

uint64_t dedupe_shrunk(struct dedupe *d)
{
    uint64_t shrunk = d->shrunk;
    d->shrunk = 0;
    return shrunk;
}

struct dedupe_stats dedupe_stats(const struct dedupe *d)
{
    return (struct dedupe_stats){
        .keys = d->ring.keys,
        .batches = d->ring.count,
        .used_bytes = table_used_bytes(&d->table) + d->ring.capacity * sizeof(struct ring_batch),
    };
}
