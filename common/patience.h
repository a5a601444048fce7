/* How long a program that ends by itself (--once) waits for servers that are away. */
#ifndef METERLINE_PATIENCE_H
#define METERLINE_PATIENCE_H

#include "common/str.h"

#include <stdbool.h>
#include <uv.h>

struct patience;

/* Asks ready again and again. Once it has returned false for limit_ms without a break, `gave_up` is
 * logged with what it said, and over is called, once, from the loop. Time during which this process
 * was stopped does not count. */
struct patience *patience_open(uv_loop_t *loop, int64_t limit_ms,
                               bool (*ready)(void *owner, struct buf *why),
                               void (*over)(void *owner), void *owner);
/* Neither callback is called any more. */
void patience_close(struct patience *p);

#endif
