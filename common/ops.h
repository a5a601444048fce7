/* The HTTP listener for operators of a daemon: /metrics, /healthz and /readyz, by GET and HEAD. */
#ifndef METERLINE_OPS_H
#define METERLINE_OPS_H

#include "common/err.h"
#include "common/str.h"

#include <stdbool.h>
#include <uv.h>

struct ops;

struct ops_source {
    /* Return false while not ready, and append what is missing, a line each. A stage that is ready
     * may append lines too, about a part of it that waits for a person. */
    bool (*ready)(void *owner, struct buf *why);
    /* Refresh gauges before they are printed; may be NULL. */
    void (*scrape)(void *owner);
    void *owner;
};

/* listen: HOST:PORT; logs `event=listening name=ops`. Returns NULL with e. */
struct ops *ops_open(uv_loop_t *loop, const char *listen, struct ops_source source, struct err *e);
/* o is freed from the loop; its callbacks are not called any more. */
void ops_close(struct ops *o);

/* The answer to a request: returns the HTTP status and appends the text to body. Pure but for the
 * source's callbacks; for tests. */
int ops_answer(const struct ops_source *source, const char *method, const char *path,
               struct buf *body);

#endif
