#include "notifier/post/post_signature.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

void post_signature(const char *secret, int64_t unix_s, const char *body, size_t length,
                    char out[POST_SIGNATURE_SIZE])
{
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    char hex[2 * sizeof mac + 1];
    char begin[24];
    (void)snprintf(begin, sizeof begin, "%lld.", (long long)unix_s);
    crypto_auth_hmacsha256_state state;
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)secret, strlen(secret));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)begin, strlen(begin));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)body, length);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_memzero(&state, sizeof state);
    sodium_bin2hex(hex, sizeof hex, mac, sizeof mac);
    (void)snprintf(out, POST_SIGNATURE_SIZE, "t=%lld,v1=%s", (long long)unix_s, hex);
}
