#include "api/stripe/operation.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { DIGEST_BYTES = (OPERATION_DIGEST_SIZE - 1) / 2 };

/* Each text with its NUL, so that their borders count. */
void operation_digest(const char *const *texts, int n, char out[OPERATION_DIGEST_SIZE])
{
    unsigned char hash[DIGEST_BYTES];
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof hash);
    for (int i = 0; i < n; i++)
        crypto_generichash_update(&state, (const unsigned char *)texts[i], strlen(texts[i]) + 1);
    crypto_generichash_final(&state, hash, sizeof hash);
    sodium_bin2hex(out, OPERATION_DIGEST_SIZE, hash, sizeof hash);
}

void operation_key(const struct operation *o, char out[OPERATION_KEY_SIZE])
{
    char hex[OPERATION_DIGEST_SIZE];
    char number[12];
    (void)snprintf(number, sizeof number, "%d", o->attempt);
    const char *const texts[] = {o->tenant, o->name, o->request_digest, o->path, o->body, number};
    operation_digest(texts, 6, hex);
    (void)snprintf(out, OPERATION_KEY_SIZE, "ml_%s", hex);
}

void operation_request_digest(const char *tenant, const char *route, const char *request_id,
                              char out[OPERATION_DIGEST_SIZE])
{
    const char *const texts[] = {tenant, route, request_id};
    operation_digest(texts, 3, out);
}
