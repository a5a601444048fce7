/* The tenants of a batch, each once: its name, slice and CRC are worked out the first time it is
 * met. Refs never move until the table is trimmed or cleared, so that an event can hold one. */
#ifndef METERLINE_TENANTS_H
#define METERLINE_TENANTS_H

#include "aggregator/stream/arena.h"
#include "aggregator/stream/text.h"

#include <stddef.h>
#include <stdint.h>

#define SLICES 16 /* a stored batch is cut into so many rows by tenant */

struct tenant_ref {
    struct text name; /* owned by the table */
    uint64_t hash;    /* keyed; of the name */
    uint32_t number;  /* 0, 1, 2 … in order of appearance */
    uint16_t crc16;   /* str_crc16(name): the shard is crc16 mod shards */
    uint8_t slice;    /* tenant_slice(name) */
};

struct tenants {
    unsigned char key[16];     /* of the hash: strangers choose names */
    struct arena arena;        /* owns the refs' names */
    struct tenant_ref **list;  /* by number; refs live in blocks */
    struct tenant_ref **slots; /* hash table, NULL for none */
    uint32_t count;
    uint32_t capacity; /* of list: blocks allocated, whole */
    uint32_t slots_mask;
};

/* First byte of SHA-256 of the name & 15; SQL has the same as
 * get_byte(sha256(convert_to(tenant, 'UTF8')), 0) & 15. */
uint8_t tenant_slice(const char *name, size_t length);

/* key: 16 random bytes of this process. */
void tenants_init(struct tenants *t, const unsigned char key[16]);
void tenants_done(struct tenants *t);
const struct tenant_ref *tenants_intern(struct tenants *t, struct text name);
/* Forget all if there are more than max: call it where no ref is held any more, so that the table
 * serves many batches and is still bounded. 0 forgets always. */
void tenants_trim(struct tenants *t, uint32_t max);

#endif
