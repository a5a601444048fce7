/* Keys and portal tokens: whose they are, as PostgreSQL says. An answer is used for KEY_FRESH_MS
 * and then asked for anew, so that a key that is revoked stops within a second, behind a pooler
 * too. Only a hash of a key leaves this process, and only a hash is stored. */
#ifndef METERLINE_API_KEY_CACHE_H
#define METERLINE_API_KEY_CACHE_H

#include "api/request.h"

enum { KEY_FRESH_MS = 500 };

struct key_cache;

struct key_cache *key_cache_open(const struct context *context);

/* error ERR_INPUT: there is no such key, or it has expired or was revoked; its text says which one.
 * Others: PostgreSQL's. wait_ms above 0: the key's rate is used up for so long. caller is borrowed.
 * Exactly once, from the loop; at once where the answer is fresh. */
typedef void (*key_found_fn)(void *owner, const struct err *error, const struct api_caller *caller,
                             int64_t wait_ms);
void key_cache_find(struct key_cache *c, const char *token, key_found_fn found, void *owner);

void key_cache_close(struct key_cache *c);

#endif
