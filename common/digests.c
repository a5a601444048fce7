#include "common/digests.h"

#include "common/str.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 64 };

void digests_init(struct digests *d)
{
    *d = (struct digests){.slots = NULL};
    randombytes_buf(d->key, sizeof d->key);
}

void digests_clear(struct digests *d)
{
    free(d->slots);
    d->slots = NULL;
    d->n = d->capacity = 0;
}

void digests_done(struct digests *d)
{
    digests_clear(d);
}

uint64_t digests_of(const struct digests *d, const void *bytes, size_t length)
{
    unsigned char out[crypto_shorthash_BYTES];
    uint64_t value;
    crypto_shorthash(out, bytes, length, d->key);
    memcpy(&value, out, sizeof value);
    return value ? value : 1;
}

/* Where the name stands, or would. */
static struct digest_slot *find(const struct digests *d, uint64_t name)
{
    size_t i = name & (d->capacity - 1);
    while (d->slots[i].name && d->slots[i].name != name)
        i = (i + 1) & (d->capacity - 1);
    return &d->slots[i];
}

bool digests_know(const struct digests *d, uint64_t name, uint64_t seen)
{
    if (d->n == 0)
        return false;
    const struct digest_slot *slot = find(d, name);
    return slot->name == name && slot->seen == seen;
}

static void grow(struct digests *d)
{
    struct digests old = *d;
    d->capacity = old.capacity ? 2 * old.capacity : FIRST_CAPACITY;
    d->slots = xcalloc(d->capacity, sizeof *d->slots);
    for (size_t i = 0; i < old.capacity; i++)
        if (old.slots[i].name)
            *find(d, old.slots[i].name) = old.slots[i];
    free(old.slots);
}

void digests_note(struct digests *d, uint64_t name, uint64_t seen)
{
    if (2 * (d->n + 1) > d->capacity)
        grow(d);
    struct digest_slot *slot = find(d, name);
    d->n += slot->name ? 0 : 1;
    *slot = (struct digest_slot){name, seen};
}
