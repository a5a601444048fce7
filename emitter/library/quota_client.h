/* Commands on the quota cache by threads that wait for the answer, for a bounded time.
 *
 * Each call takes a client of its own out of a pool, so that threads do not wait for each other. A
 * client has a connection to each node that it needed. A call that failed on a connection is made
 * once more on a new one: all of them may be made twice. */
#ifndef METERLINE_EMITTER_QUOTA_CLIENT_H
#define METERLINE_EMITTER_QUOTA_CLIENT_H

#include "common/err.h"

#include <hiredis/hiredis.h>
#include <stdint.h>

struct quota_pool; /* opaque */

/* url: copied. */
struct quota_pool *quota_pool_new(const char *url, int64_t timeout_ms);
void quota_pool_free(struct quota_pool *p);

/* One command on that key. Returns the reply, which may be an error of Redis', to be freed by the
 * caller; NULL with e. Any thread; no signal is raised in it. */
redisReply *quota_pool_call(struct quota_pool *p, const char *key, int argc, const char **argv,
                            const size_t *lengths, struct err *e);

#endif
