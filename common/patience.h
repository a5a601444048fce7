/* How long a program that is to end by itself waits for what it needs. */
#ifndef METERLINE_PATIENCE_H
#define METERLINE_PATIENCE_H

#include "common/str.h"

#include <stdbool.h>
#include <uv.h>

struct patience;

/* Once ready has said no for limit_ms without a yes in between, that is logged (`gave_up`, with
 * why), and over is called, once, from the loop. Time that this process was paused for does not
 * count. */
struct patience *patience_open(uv_loop_t *loop, int64_t limit_ms,
                               bool (*ready)(void *owner, struct buf *why),
                               void (*over)(void *owner), void *owner);
void patience_close(struct patience *p); /* nothing is called any more */

#endif
