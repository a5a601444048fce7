/* A batch of commands on their way: their bytes, and which of them are settled. */
#ifndef METERLINE_EMITTER_BATCH_H
#define METERLINE_EMITTER_BATCH_H

#include "common/str.h"
#include "emitter/links.h"
#include "emitter/sender.h"

#include <stdbool.h>
#include <stddef.h>

enum { BATCH_MAX = 1000 };

struct batch_item {
    struct sender_origin origin;
    size_t offset; /* of its command in bytes */
    size_t length;
    int64_t shard;
    bool settled; /* acknowledged, or refused for good */
};

/* Zero-initialise. */
struct batch {
    struct batch_item items[BATCH_MAX];
    int count;
    struct buf bytes; /* owned: the commands, one behind the other */
};

void batch_clear(struct batch *b);
/* Note what was appended to bytes since offset as one more item. */
void batch_note(struct batch *b, struct sender_origin origin, int64_t shard, size_t offset);

/* Give every command that is not settled to its connection, and write them. Returns 0 or -1 with e.
 */
int batch_send(const struct batch *b, struct links *links, struct err *e);

#endif
