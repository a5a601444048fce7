#include "aggregator/stream/entry_content.h"

#include <endian.h>
#include <sodium.h>

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
    uint64_t hash;

    crypto_shorthash(link.bytes, (const unsigned char *)(t.length == 0 ? "" : t.data), t.length,
                     NO_KEY);
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
