/* BLAKE2b-256 (RFC 7693) over the parts, each text with its length before it, so that no two
 * different sets of parts give the same bytes. */
#include "sink/identifier.h"

#include "common/str.h"

#include <sodium.h>
#include <string.h>

enum { HASH_BYTES = 32 };

static void add_text(struct buf *b, const char *text)
{
    size_t length = strlen(text);
    buf_add_u32be(b, (uint32_t)length);
    buf_add(b, text, length);
}

void identifier_make(const char *customer, const char *event_name, int64_t period_start_s,
                     int64_t claim, char out[IDENTIFIER_SIZE])
{
    struct buf parts = {0};
    add_text(&parts, customer);
    add_text(&parts, event_name);
    buf_add_u64be(&parts, (uint64_t)period_start_s);
    buf_add_u64be(&parts, (uint64_t)claim);
    unsigned char hash[HASH_BYTES];
    crypto_generichash(hash, sizeof hash, (const unsigned char *)parts.data, parts.length, NULL, 0);
    memcpy(out, "ml-", 3);
    sodium_bin2hex(out + 3, IDENTIFIER_SIZE - 3, hash, sizeof hash);
    buf_done(&parts);
}
