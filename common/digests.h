/* A table that tells whether something has changed since it was last seen, in 16 bytes a thing: of
 * its name and of its content it keeps 64-bit hashes. They are keyed by a secret of this process,
 * so that nobody can choose two names or contents with the same hash. */
#ifndef METERLINE_DIGESTS_H
#define METERLINE_DIGESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct digest_slot {
    uint64_t name; /* 0: free */
    uint64_t seen;
};

struct digests {
    unsigned char key[16];
    struct digest_slot *slots; /* open addressing; at most half of them are taken */
    size_t n;
    size_t capacity; /* 0 or a power of two */
};

void digests_init(struct digests *d);
void digests_done(struct digests *d);
/* The hash of a name or a content; never 0. */
uint64_t digests_of(const struct digests *d, const void *bytes, size_t length);
/* Was this the content when it was last noted? name, seen: hashes from digests_of. */
bool digests_know(const struct digests *d, uint64_t name, uint64_t seen);
void digests_note(struct digests *d, uint64_t name, uint64_t seen);
void digests_clear(struct digests *d);

#endif
