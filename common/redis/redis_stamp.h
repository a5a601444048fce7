/* Whether a Redis may have lost or replaced keys since it was last asked, so that what was written
 * there need not be looked at key by key.
 *
 * A stamp is made of what INFO tells of each server that our keys lie on: its run_id (another one:
 * restarted, or another server has taken over) and role, how many keys expired or were evicted, and
 * how often each command was called that could delete, replace or rename a key. As long as it stays
 * the same nothing was lost. That somebody else writes into a field by HSET it does not tell. */
#ifndef METERLINE_REDIS_STAMP_H
#define METERLINE_REDIS_STAMP_H

#include "common/redis/redis_router.h"

/* What makes another stamp: all of that, or only what may have cost all keys of a server at once:
 * FLUSHALL, FLUSHDB, a restart, another server. */
enum redis_stamp { REDIS_STAMP_ANY, REDIS_STAMP_EMPTIED };

/* Of the answer to INFO server replication stats commandstats. 0: it cannot be told. Pure. */
uint64_t redis_stamp_of(const char *info, enum redis_stamp of);

/* Ask all servers in use. done: exactly once, from the loop, maybe inside the call's own turn but
 * never inside the call; stamp: 0 if one of them did not answer. */
typedef void (*redis_stamp_fn)(void *owner, uint64_t stamp);
void redis_stamp_ask(struct redis_router *router, enum redis_stamp of, redis_stamp_fn done,
                     void *owner);

#endif
