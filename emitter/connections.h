/* The connections to Redis, one a shard, because in a Redis Cluster each stream may be on a node of
 * its own. A connection is made when it is needed. When anything fails all of them are dropped, and
 * new ones go to the nodes that serve the streams then. */
#ifndef METERLINE_EMITTER_CONNECTIONS_H
#define METERLINE_EMITTER_CONNECTIONS_H

#include "common/err.h"
#include "emitter/config.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

struct connection {
    redisContext *redis; /* NULL: not connected */
    bool asking;         /* its slot is migrating to this node: send ASKING before each command */
};

struct connections {
    struct emitter_config *config; /* borrowed */
    struct conf_reload *files;     /* that secrets are read from; NULL: none */
    int64_t n;
    char **keys; /* of the streams; owned */
    struct connection *list;
};

/* files: see sender.h. */
void connections_init(struct connections *l, struct emitter_config *config,
                      struct conf_reload *files);
void connections_done(struct connections *l);
void connections_drop(struct connections *l);

/* Buffer a command for that shard, connecting first if need be. Returns 0, or -1 with e. */
int connections_add(struct connections *l, int64_t shard, const char *command, size_t length,
                    struct err *e);
/* Write all that is buffered. Returns 0, or -1 with e. */
int connections_write(struct connections *l, struct err *e);
/* The next answer of that shard, to be freed by the caller; NULL with e. */
redisReply *connections_answer(struct connections *l, int64_t shard, struct err *e);

#endif
