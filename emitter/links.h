/* The connections to Redis: one for each shard, since in a cluster each stream is on a node of its
 * own. Made when they are needed; all are dropped when anything fails, and the next ones find the
 * node that serves the stream then. */
#ifndef METERLINE_EMITTER_LINKS_H
#define METERLINE_EMITTER_LINKS_H

#include "common/err.h"
#include "emitter/config.h"

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>

struct link {
    redisContext *redis; /* NULL: not connected */
    bool asking;         /* its stream is on the way to this node: each command behind ASKING */
};

struct links {
    struct emitter_config *config; /* borrowed */
    struct conf_reload *files;     /* of its secrets; NULL: none */
    int64_t n;
    char **keys; /* of the streams; owned */
    struct link *list;
};

void links_init(struct links *l, struct emitter_config *config);
void links_done(struct links *l);
void links_drop(struct links *l);

/* Add a command to what goes to that shard. Returns 0 or -1 with e. */
int links_add(struct links *l, int64_t shard, const char *command, size_t length, struct err *e);
/* Write all that was added. */
int links_write(struct links *l, struct err *e);
/* The next answer of that shard, to be freed; NULL with e. */
redisReply *links_answer(struct links *l, int64_t shard, struct err *e);

#endif
