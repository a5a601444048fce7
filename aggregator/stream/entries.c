#include "aggregator/stream/entries.h"

#include "common/str.h"

#include <assert.h>
#include <endian.h>
#include <sodium.h>
#include <stdlib.h>

void entries_clear(struct entries *e)
{
    e->count = 0;
    e->strings_count = 0;
    e->bytes = 0;
    e->clears++;
    arena_clear(&e->arena);
}

void entries_done(struct entries *e)
{
    arena_done(&e->arena);
    free(e->list);
    free(e->strings);
    *e = (struct entries){.clears = e->clears + 1};
}

void entries_add(struct entries *e, uint64_t ms, uint64_t seq)
{
    if (e->count == e->capacity) {
        assert(e->capacity <= UINT32_MAX / 2);
        e->capacity = e->capacity == 0 ? 1024 : e->capacity * 2;
        e->list = xrealloc(e->list, e->capacity * sizeof(*e->list));
    }
    e->list[e->count++] = (struct entry){.ms = ms, .seq = seq, .first_field = e->strings_count};
}

void entries_grow_strings(struct entries *e)
{
    assert(e->strings_capacity <= UINT32_MAX / 2);
    e->strings_capacity = e->strings_capacity == 0 ? 8192 : e->strings_capacity * 2;
    e->strings = xrealloc(e->strings, e->strings_capacity * sizeof(*e->strings));
}

static void add_string(struct entries *e, struct text string)
{
    struct entry *entry = &e->list[e->count - 1];
    if (e->strings_count == e->strings_capacity)
        entries_grow_strings(e);
    e->strings[e->strings_count++] = arena_copy(&e->arena, string.data, string.length);
    entry->fields++;
    entry->bytes += string.length;
    e->bytes += string.length;
}

void entries_add_field(struct entries *e, struct text name, struct text value)
{
    add_string(e, name);
    add_string(e, value);
}

static const unsigned char NO_KEY[crypto_shorthash_KEYBYTES];

/* A chain: the hash of what came before, the length, and the hash of the bytes. */
struct link {
    uint64_t before;
    uint64_t length;
    unsigned char bytes[crypto_shorthash_BYTES];
};

static uint64_t add(uint64_t before, struct text t)
{
    struct link link = {.before = htole64(before), .length = htole64(t.length)};
    crypto_shorthash(link.bytes, (const unsigned char *)(t.length == 0 ? "" : t.data), t.length,
                     NO_KEY);
    uint64_t hash;
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)&link, sizeof link, NO_KEY);
    return le64toh(hash);
}

int64_t entry_content(const struct entries *entries, uint32_t index)
{
    const struct text *strings = entries_fields(entries, index);
    uint64_t hash = 0;
    for (uint32_t i = 0; i < entries->list[index].fields; i++)
        hash = add(hash, strings[i]);
    return (int64_t)hash;
}
