#include "common/batch_digest.h"

#include <endian.h>
#include <stdlib.h>

static crypto_generichash_state *state_of(struct batch_digest *d)
{
    const uintptr_t align = _Alignof(crypto_generichash_state);
    size_t skipped = (align - (uintptr_t)d->room % align) % align;
    return (crypto_generichash_state *)(void *)(d->room + skipped);
}

void batch_digest_init(struct batch_digest *d)
{
    /* Without it libsodium takes its portable implementation, which is slow. */
    if (sodium_init() < 0)
        abort();
    crypto_generichash_init(state_of(d), NULL, 0, BATCH_DIGEST_SIZE);
}

static void add(struct batch_digest *d, const void *data, size_t length)
{
    crypto_generichash_update(state_of(d), data, length);
}

static void add_u32(struct batch_digest *d, uint32_t v)
{
    uint32_t bytes = htobe32(v);
    add(d, &bytes, sizeof bytes);
}

static void add_u64(struct batch_digest *d, uint64_t v)
{
    uint64_t bytes = htobe64(v);
    add(d, &bytes, sizeof bytes);
}

void batch_digest_add_slice(struct batch_digest *d, const struct batch_digest_slice *slice)
{
    add_u32(d, slice->slice);
    add_u32(d, slice->events);
    add_u64(d, slice->catalog_version);
    add_u64(d, (uint64_t)slice->occurred_min_us);
    add_u64(d, (uint64_t)slice->occurred_max_us);
    add_u64(d, (uint64_t)slice->entry_first_ms);
    add_u64(d, (uint64_t)slice->entry_last_ms);
}

static void add_elements(struct batch_digest *d, int count, const void *elements, size_t length)
{
    add_u32(d, (uint32_t)count);
    add(d, elements, length);
}

void batch_digest_add_array(struct batch_digest *d, const struct pg_array *a)
{
    size_t length;
    const void *elements = a ? pg_array_elements(a, &length) : NULL;
    if (a)
        add_elements(d, a->count, elements, length);
    else
        add_u32(d, UINT32_MAX);
}

void batch_digest_add_field(struct batch_digest *d, const void *field, size_t length)
{
    struct pg_array_reader r;
    if (!field)
        add_u32(d, UINT32_MAX);
    else if (pg_array_read(&r, field, length) == 0)
        add_elements(d, r.left, r.at, (size_t)(r.end - r.at));
    else
        add(d, field, length); /* not an array that we wrote: another digest */
}

void batch_digest_final(struct batch_digest *d, unsigned char out[BATCH_DIGEST_SIZE])
{
    crypto_generichash_final(state_of(d), out, BATCH_DIGEST_SIZE);
}
