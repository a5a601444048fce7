/* Commands on keys all over a Redis Cluster, such as the hashes of the quota cache, each to the
 * node that serves its key. With a plain server it is one connection.
 *
 * A redirection (MOVED, ASK) is followed by itself, a few times, within the command's deadline.
 * What else fails is the caller's, as with redis.h: the connection to the node was lost
 * (ERR_CLOSED, outcome unknown), or an error reply that passes, such as CLUSTERDOWN while a
 * failover is on its way (retry is set). Connections to nodes are made when they are needed, and
 * closed when the node has no slots any more. */
#ifndef METERLINE_REDIS_ROUTER_H
#define METERLINE_REDIS_ROUTER_H

#include "common/redis/redis.h"

struct redis_router; /* opaque */

struct redis_router_events {
    void (*on_up)(void *owner); /* a server, or any node, answers (again) */
    void (*on_down)(void *owner, const struct err *error);
    /* A connection that writes will go to is up (again), of each master that is needed: a chance to
     * load functions, before anything else is sent on it. May be NULL. */
    void (*on_node)(void *owner, struct redis *node);
    void *owner;
};

struct redis_router *redis_router_open(uv_loop_t *loop, const char *url,
                                       struct redis_router_events events, struct err *e);

bool redis_router_is_up(const struct redis_router *router);

/* As redis_command. key: of this command; all of its keys are in one slot. */
void redis_router_command(struct redis_router *router, const char *key, size_t key_length,
                          uint64_t deadline_ms, redis_done_fn done, void *owner, int argc,
                          const char **argv, const size_t *argv_length);

/* A command without a key to each server in use: a plain one, or the masters that were needed so
 * far. Returns how many there are: done runs once for each, after this call. Not once it is
 * closing. */
int redis_router_command_all(struct redis_router *router, uint64_t deadline_ms, redis_done_fn done,
                             void *owner, int argc, const char **argv);

/* on_node for each connection that is up. */
void redis_router_each_node(struct redis_router *router);

/* Once, as redis_close. */
void redis_router_close(struct redis_router *router, void (*closed)(void *owner), void *owner);

#endif
