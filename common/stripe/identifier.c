/* BLAKE2b-256 (RFC 7693) over the parts, each text with its length before it, so that no two
 * different sets of parts give the same bytes. */
#include "common/stripe/identifier.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

enum { HASH_BYTES = 32 };

static void add_text(struct buf *b, const char *text)
{
    size_t length = strlen(text);
    buf_add_u32be(b, (uint32_t)length);
    buf_add(b, text, length);
}

void identifier_make(const struct identifier_parts *parts, char out[IDENTIFIER_SIZE])
{
    struct buf bytes = {0};
    add_text(&bytes, parts->customer);
    add_text(&bytes, parts->event_name);
    add_text(&bytes, parts->tenant);
    add_text(&bytes, parts->metric);
    buf_add_u64be(&bytes, (uint64_t)parts->period_start_s);
    buf_add_u64be(&bytes, (uint64_t)parts->claim);
    if (parts->era != 0)
        buf_add_u64be(&bytes, (uint64_t)parts->era);
    unsigned char hash[HASH_BYTES];
    crypto_generichash(hash, sizeof hash, (const unsigned char *)bytes.data, bytes.length, NULL, 0);
    memcpy(out, "ml-", 3);
    sodium_bin2hex(out + 3, IDENTIFIER_SIZE - 3, hash, sizeof hash);
    buf_done(&bytes);
}

void identifier_key(const char *name, int64_t spent_keys, struct buf *out)
{
    buf_add_str(out, name);
    if (spent_keys > 0)
        buf_printf(out, "%c%" PRId64, IDENTIFIER_KEY_MARK, spent_keys);
}

size_t identifier_length_in_key(const char *key)
{
    const char mark[] = {IDENTIFIER_KEY_MARK, '\0'};
    return strcspn(key, mark);
}
