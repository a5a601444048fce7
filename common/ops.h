/* The ops listener of a daemon: /metrics, /healthz and /readyz, for GET and HEAD. */
#ifndef METERLINE_OPS_H
#define METERLINE_OPS_H

#include "common/err.h"
#include "common/str.h"

#include <stdbool.h>
#include <uv.h>

struct ops;

struct ops_source {
    /* Append what is missing, a line each, and return false while not ready. What is appended while
     * ready tells of a part that is held. */
    bool (*ready)(void *owner, struct buf *why);
    /* Refresh gauges before they are printed; may be NULL. */
    void (*scrape)(void *owner);
    void *owner;
};

/* listen: HOST:PORT; logs `event=listening name=ops`. Returns NULL with e. */
struct ops *ops_open(uv_loop_t *loop, const char *listen, struct ops_source source, struct err *e);
/* Runs from the loop when ops is freed: nothing of it is used after. */
void ops_close(struct ops *o);

/* The answer to a request: status, with text appended to body. Pure but for the source's callbacks.
 */
int ops_answer(const struct ops_source *source, const char *method, const char *path,
               struct buf *body);

#endif
