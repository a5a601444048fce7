/* What is done beside the requests: checks the schema at each connect, keeps the requests that this
 * process works on, and drops those whose 24 hours are over. */
#ifndef METERLINE_API_UPKEEP_H
#define METERLINE_API_UPKEEP_H

#include "api/context.h"

struct upkeep;

/* shards: of the stream, where it is ready. */
typedef void (*upkeep_schema_fn)(void *owner, bool ready, int64_t shards);

struct upkeep *upkeep_open(const struct context *context, upkeep_schema_fn on_schema, void *owner);
bool upkeep_is_idle(const struct upkeep *u);
bool upkeep_is_ready(const struct upkeep *u, struct buf *why);
void upkeep_close(struct upkeep *u);

#endif
