/* The stage's heart: it decides when to claim, when to send, and when a cycle is over. */
#ifndef METERLINE_SINK_SINK_H
#define METERLINE_SINK_SINK_H

#include "common/stage.h"
#include "sink/config.h"

#include <stdbool.h>

struct sink;

/* config: borrowed for the sink's life. once: one cycle, then the stage ends. */
struct sink *sink_open(struct stage *stage, const struct config *config, bool once, struct err *e);
/* Take no new work; stage_drained once nothing is in flight. */
void sink_drain(struct sink *s);
/* Frees s when every handle is closed. */
void sink_close(struct sink *s);
/* Appends what is missing to why and returns false while it cannot work. */
bool sink_is_ready(const struct sink *s, struct buf *why);

#endif
