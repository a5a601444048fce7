/* An event as the bytes of its XADD, in Redis' protocol: kept until it is acknowledged, so that it
 * is sent again to the letter, with the same id. */
#ifndef METERLINE_EMITTER_COMMAND_H
#define METERLINE_EMITTER_COMMAND_H

#include "common/str.h"
#include "emitter/event_line.h"

#include <stdint.h>

/* Append `XADD <key> * …` to out. key: the shard's. Where the event has no id it gets own_id, and
 * where it has no time, own_ts; but a retraction has the id of what it takes back, and its ts is
 * that one's. */
void command_add(struct buf *out, const char *key, const struct event_line *e, const char *own_id,
                 const char *own_ts);

#endif
