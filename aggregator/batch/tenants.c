#include "aggregator/batch/tenants.h"

#include "common/str.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#define BLOCK_REFS    256U /* refs are allocated so many at a time, so that they never move */
#define SLOTS_INITIAL 1024U

uint8_t tenant_slice(const char *name, size_t length)
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, (const unsigned char *)name, length);
    return digest[0] & (SLICES - 1);
}

static void set_slots(struct tenants *t, uint32_t count)
{
    free(t->slots);
    t->slots = xcalloc(count, sizeof(*t->slots));
    t->slots_mask = count - 1;
}

void tenants_init(struct tenants *t, const unsigned char key[16])
{
    *t = (struct tenants){0};
    memcpy(t->key, key, sizeof(t->key));
    set_slots(t, SLOTS_INITIAL);
}

void tenants_done(struct tenants *t)
{
    for (uint32_t i = 0; i < t->capacity; i += BLOCK_REFS)
        free(t->list[i]);
    free(t->list);
    free(t->slots);
    arena_done(&t->arena);
    *t = (struct tenants){0};
}

/* The slot that holds the name, or the free one where it belongs. */
static struct tenant_ref **find_slot(const struct tenants *t, struct text name, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & t->slots_mask;
    while (t->slots[i]) {
        const struct tenant_ref *ref = t->slots[i];
        if (ref->hash == hash && text_equal(ref->name, name))
            break;
        i = (i + 1) & t->slots_mask;
    }
    return &t->slots[i];
}

static void grow_slots(struct tenants *t)
{
    set_slots(t, (t->slots_mask + 1) * 2);
    for (uint32_t i = 0; i < t->count; i++)
        *find_slot(t, t->list[i]->name, t->list[i]->hash) = t->list[i];
}

/* list has one pointer a ref; the first of each block owns it. */
static void add_block(struct tenants *t)
{
    struct tenant_ref *block = xcalloc(BLOCK_REFS, sizeof(*block));
    assert(t->capacity <= UINT32_MAX / 4);
    t->list = xrealloc(t->list, (t->capacity + BLOCK_REFS) * sizeof(struct tenant_ref *));
    for (uint32_t i = 0; i < BLOCK_REFS; i++)
        t->list[t->capacity + i] = &block[i];
    t->capacity += BLOCK_REFS;
}

static struct tenant_ref *add_ref(struct tenants *t, struct text name, uint64_t hash)
{
    if (t->count == t->capacity)
        add_block(t);
    struct tenant_ref *ref = t->list[t->count];
    *ref = (struct tenant_ref){
        .name = arena_copy(&t->arena, name.data, name.length),
        .hash = hash,
        .number = t->count++,
        .crc16 = str_crc16(name.data, name.length),
        .slice = tenant_slice(name.data, name.length),
    };
    return ref;
}

const struct tenant_ref *tenants_intern(struct tenants *t, struct text name)
{
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)name.data, name.length, t->key);
    struct tenant_ref **slot = find_slot(t, name, hash);
    const struct tenant_ref *known = *slot;
    if (known)
        return known;
    if (t->count >= (t->slots_mask + 1) / 2) {
        grow_slots(t);
        slot = find_slot(t, name, hash);
    }
    *slot = add_ref(t, name, hash);
    return *slot;
}

void tenants_trim(struct tenants *t, uint32_t max)
{
    if (max > 0 && t->count <= max)
        return;
    t->count = 0;
    memset(t->slots, 0, (t->slots_mask + 1) * sizeof(struct tenant_ref *));
    arena_clear(&t->arena);
}
