/* Commands on keys all over a Redis Cluster, such as the hashes of the quota cache: each goes to
 * the node that serves its key. With a plain server there is one connection.
 *
 * Redirections (MOVED, ASK) are followed, a few times and within the command's deadline. Other
 * failures are for the caller, as with redis.h: the connection to the node was lost (ERR_CLOSED,
 * outcome unknown), or Redis refused for now, such as with CLUSTERDOWN during a failover (retry is
 * set). Connections to nodes are made when they are needed, and closed when the node has no slots
 * left. */
#ifndef METERLINE_REDIS_ROUTER_H
#define METERLINE_REDIS_ROUTER_H

#include "common/redis/redis.h"

struct redis_router; /* opaque */

struct redis_router_events {
    void (*on_up)(void *owner); /* the server, or any node of the cluster, can be reached */
    void (*on_down)(void *owner, const struct err *error);
    /* The connection to a node that writes will go to is up. Nothing was sent on it yet, so this is
     * the moment to load functions. May be NULL. */
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

/* Send a command without a key to each server in use: the plain one, or the masters that were
 * needed so far. Returns how many there are: done runs once for each, after this call. Must not be
 * called once it is closing (asserted). */
int redis_router_command_all(struct redis_router *router, uint64_t deadline_ms, redis_done_fn done,
                             void *owner, int argc, const char **argv);

/* Connect to every master of a cluster, whether a command needed it so far or not. */
void redis_router_reach_masters(struct redis_router *router);
/* on_node for each connection that is up. */
void redis_router_each_node(struct redis_router *router);

/* As redis_close. */
void redis_router_close(struct redis_router *router, void (*closed)(void *owner), void *owner);

#endif
