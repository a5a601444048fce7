/* What is done beside the sending, on a connection of its own: checks the schema, listens for new
 * messages (NOTIFY meterline_messages), counts what waits, and deletes what is old. */
#ifndef METERLINE_NOTIFIER_UPKEEP_H
#define METERLINE_NOTIFIER_UPKEEP_H

#include "notifier/context.h"

struct upkeep;

struct upkeep_events {
    void (*on_schema)(void *owner, bool ready); /* checked at every connect */
    /* Through a pooler a NOTIFY does not arrive: is_told says whether on_message will be called. */
    void (*on_listening)(void *owner, bool is_told);
    void (*on_message)(void *owner); /* there are new messages */
    void *owner;
};

/* context is borrowed until it is closed. */
struct upkeep *upkeep_open(const struct context *context, struct upkeep_events events);
bool upkeep_is_idle(const struct upkeep *u);
bool upkeep_is_ready(const struct upkeep *u, struct buf *why);
void upkeep_close(struct upkeep *u);

#endif
