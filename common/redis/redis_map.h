/* Which nodes a Redis Cluster has, and which of them serves which slot. All connections of the
 * process with the same URL share one map, so that each learns from what the others are told. For a
 * plain server it has just the URL's addresses. Loop thread only, but for those of redis_map_new.
 */
#ifndef METERLINE_REDIS_MAP_H
#define METERLINE_REDIS_MAP_H

#include "common/redis/redis.h"

#include <stdbool.h>
#include <stddef.h>

enum { REDIS_HOST_SIZE = 256, REDIS_SLOTS = 16384 };

/* What a node of a Redis Cluster answers to a command on a key that it does not serve.
 *
 *     MOVED 3999 127.0.0.1:6381     another node serves the slot, from now on
 *     ASK 3999 127.0.0.1:6381       the slot is moving there, and the key has moved already: that
 *                                   node takes this one command, right behind ASKING
 *
 * https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ */
struct redis_redirect {
    bool is_ask;
    int slot;
    char host[REDIS_HOST_SIZE]; /* "": the one that answered */
    int port;
};

/* text: an error reply, NUL-terminated. False: it is another error. */
bool redis_redirect_parse(const char *text, struct redis_redirect *out);

/* A redirection is followed: count it, and log it. */
void redis_redirect_count(const struct redis_redirect *to);
void redis_redirect_log(const struct redis_redirect *to, const char *key);

/* The slot of a key: of its hash tag, if it has one. */
int redis_slot_of(const char *key, size_t length);

struct redis_map; /* opaque, counted */

struct redis_node {
    char *host;
    int port;
    bool is_listed; /* by the URL, or by the cluster when it was asked last */
};

/* One of its own, for a caller that sees to threads itself. */
struct redis_map *redis_map_new(const struct redis_url *parts);
struct redis_map *redis_map_get(const char *url, const struct redis_url *parts);
void redis_map_release(struct redis_map *m); /* m may be NULL */

/* True once a node has said so. */
bool redis_map_is_cluster(const struct redis_map *m);
/* The master of a slot, or NULL while it is not known. Nodes live as long as the map. */
const struct redis_node *redis_map_owner(const struct redis_map *m, int slot);
bool redis_map_is_owner(const struct redis_map *m, const struct redis_node *node); /* of any slot */
/* Where to connect. attempt: the number of tries since the last success, from 0. Every other try
 * goes to the owner of the slot, the others to each node in turn, since any node that lives knows
 * who took over. slot -1: any node. NULL: the URL has no host. */
const struct redis_node *redis_map_pick(const struct redis_map *m, int slot, unsigned attempt);

/* The i-th of the nodes that have slots, or NULL. */
const struct redis_node *redis_map_master(const struct redis_map *m, int i);
bool redis_map_is_only(const struct redis_map *m); /* at most one node is known */

/* Learn from the answer to CLUSTER SLOTS by that node. An error reply changes nothing. */
void redis_map_take(struct redis_map *m, const redisReply *reply, const struct redis_node *from);
/* The node from answered with this redirection. Returns where to go. MOVED changes the map. */
const struct redis_node *redis_map_follow(struct redis_map *m, const struct redis_redirect *to,
                                          const struct redis_node *from);

#endif
