/* The HTTP listener of the API, and each request's way from there to its handler:
 *
 *     route -> key -> rate -> role -> tenant -> parameters -> idempotency -> handler
 *
 * Failure modes: what a request lacks is answered at once, 401 to 429, and nothing is done. While
 * PostgreSQL is away, or has an older schema, it is 503. */
#ifndef METERLINE_API_DOOR_H
#define METERLINE_API_DOOR_H

#include "api/context.h"
#include "api/keys/key_cache.h"
#include "common/http/http_server.h"

struct door;

/* Returns NULL with e. */
struct door *door_open(const struct context *context, struct key_cache *keys, struct err *e);
/* Takes no more connections. */
void door_quiesce(struct door *d);
/* Nothing is being answered. */
bool door_is_idle(const struct door *d);
bool door_is_ready(const struct door *d, struct buf *why);
void door_close(struct door *d);

#endif
