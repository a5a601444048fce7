/* What a daemon tells of itself in `stage_instances`: that it runs, which version, where, and
 * whether it is ready. So the operator sees one that died: its row stays and its heartbeat grows
 * old; one that ended in peace takes its row along.
 *
 * A connection of its own, so that no job makes it late. Failure modes: PostgreSQL is away, or its
 * schema is older: nothing is told until it can be, which changes nothing for the stage. */
#ifndef METERLINE_HEARTBEAT_H
#define METERLINE_HEARTBEAT_H

#include "common/str.h"

#include <stdbool.h>
#include <uv.h>

struct heartbeat;

struct heartbeat_terms {
    const char *url;      /* PostgreSQL; copied */
    const char *stage;    /* "sink"; its role is meterline_sink. Static */
    const char *instance; /* its name among all; NULL: a new one. Copied */
    /* As /readyz: appends to why what is missing and returns false while not ready. */
    bool (*ready)(void *owner, struct buf *why);
    void *owner;
};

/* Begin. The first heartbeat goes out when PostgreSQL can be reached, then one every 5 s, and at
 * once (within 1 s) when readiness changes. */
struct heartbeat *heartbeat_open(uv_loop_t *loop, const struct heartbeat_terms *terms);

/* No heartbeat any more, and the row goes. Returns true: left is called, from the loop, when that
 * is done or has failed. False: there is nothing to wait for. */
bool heartbeat_leave(struct heartbeat *h, void (*left)(void *owner), void *owner);

/* Once; left is not called any more. Frees h from the loop. */
void heartbeat_close(struct heartbeat *h);

#endif
