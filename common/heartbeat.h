/* A daemon's row in `stage_instances`: that it runs, which version, where, and whether it is ready.
 * A process that dies leaves its row, whose heartbeat grows old, so that `meterctl status` shows
 * it. One that stops in an orderly way deletes its row.
 *
 * The heartbeat has a connection of its own, so that no other work delays it. Failure modes: while
 * PostgreSQL cannot be reached or has an older schema, nothing is written; the stage works on. */
#ifndef METERLINE_HEARTBEAT_H
#define METERLINE_HEARTBEAT_H

#include "common/str.h"

#include <stdbool.h>
#include <uv.h>

struct heartbeat;

struct heartbeat_terms {
    const char *url;      /* PostgreSQL; copied */
    const char *stage;    /* "sink"; its role is meterline_sink. Static */
    const char *instance; /* this process's name in the table; NULL: a new UUID. Copied */
    /* As /readyz: appends to why what is missing and returns false while not ready. */
    bool (*ready)(void *owner, struct buf *why);
    void *owner;
};

/* Begin. The first heartbeat goes out when PostgreSQL can be reached, then one every 5 s, and at
 * once (within 1 s) when readiness changes. */
struct heartbeat *heartbeat_open(uv_loop_t *loop, const struct heartbeat_terms *terms);

/* Stop beating and delete the row. Returns true if left will be called, from the loop, when that is
 * done or has failed; false if there is nothing to wait for. */
bool heartbeat_leave(struct heartbeat *h, void (*left)(void *owner), void *owner);

/* Call it once. left is not called after it; h is freed from the loop. */
void heartbeat_close(struct heartbeat *h);

#endif
