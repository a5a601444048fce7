/* The digest of a batch's raw events: BLAKE2b-256 (RFC 7693) over the columns of each slice's row
 * in PostgreSQL's binary format. The aggregator computes it from what it writes, `meterctl audit`
 * from what is stored; if they differ, somebody changed the rows.
 *
 *   slice   u32 its number, u32 events, u64 catalog version, i64 least and greatest time of use in
 *           PostgreSQL's microseconds, i64 ms of the batch's first and last entry; then its arrays
 *           in the order of usage_batches
 *   array   u32 elements (ffffffff: NULL), then of each i32 length (-1: NULL) and its bytes
 *
 * All big endian. */
#ifndef METERLINE_BATCH_DIGEST_H
#define METERLINE_BATCH_DIGEST_H

#include "common/pg/pg_array.h"

#include <sodium.h>
#include <stddef.h>
#include <stdint.h>

enum { BATCH_DIGEST_SIZE = 32 };

/* Must not be moved after batch_digest_init. libsodium's state must be aligned to 64 bytes, which
 * neither malloc nor AddressSanitizer's stacks do, so it begins somewhere within room. */
struct batch_digest {
    unsigned char room[sizeof(crypto_generichash_state) + _Alignof(crypto_generichash_state) - 1];
};

struct batch_digest_slice {
    uint32_t slice;
    uint32_t events;
    uint64_t catalog_version;
    int64_t occurred_min_us; /* since 2000 */
    int64_t occurred_max_us;
    int64_t entry_first_ms; /* both cut to 63 bits, as they are stored */
    int64_t entry_last_ms;
};

void batch_digest_init(struct batch_digest *d);
void batch_digest_add_slice(struct batch_digest *d, const struct batch_digest_slice *slice);
/* A column from the array that is written to it; NULL: SQL NULL. */
void batch_digest_add_array(struct batch_digest *d, const struct pg_array *a);
/* A column from a field of a binary result; NULL: SQL NULL. */
void batch_digest_add_field(struct batch_digest *d, const void *field, size_t length);
void batch_digest_final(struct batch_digest *d, unsigned char out[BATCH_DIGEST_SIZE]);

#endif
