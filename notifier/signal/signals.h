/* Signals: each message becomes an entry of the Redis stream billing:signals, which services read
 * as they like (XREAD, a consumer group).
 *
 * One script adds the entry and leaves a mark that it did, so that an attempt whose answer was lost
 * adds nothing again within a day (SIGNAL_MARK_S). While Redis is away, messages wait. */
#ifndef METERLINE_NOTIFIER_SIGNALS_H
#define METERLINE_NOTIFIER_SIGNALS_H

#include "common/err.h"
#include "notifier/context.h"

struct signals;

/* Returns NULL with e if REDIS_URL cannot be used. context is borrowed until it is closed. */
struct signals *signals_open(const struct context *context, struct err *e);
/* There may be a message. */
void signals_wake(struct signals *s);
bool signals_are_idle(const struct signals *s);
/* Appends to why what is missing. */
bool signals_are_ready(const struct signals *s, struct buf *why);
void signals_close(struct signals *s);

#endif
