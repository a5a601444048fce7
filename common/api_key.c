#include "common/api_key.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { RANDOM_BYTES = 32 };

void api_key_make(const char *prefix, char out[API_KEY_TEXT_SIZE])
{
    unsigned char random[RANDOM_BYTES];
    randombytes_buf(random, sizeof random);
    size_t length = strlen(prefix);
    memcpy(out, prefix, length);
    sodium_bin2base64(out + length, API_KEY_TEXT_SIZE - length, random, sizeof random,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(random, sizeof random);
}

void api_key_hash(const char *key, unsigned char out[API_KEY_HASH_BYTES])
{
    crypto_generichash(out, API_KEY_HASH_BYTES, (const unsigned char *)key, strlen(key), NULL, 0);
}
