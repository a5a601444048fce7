/* POSTs: each message goes to its tenant's URL, signed with the tenant's secret. A 2xx ends it, 410
 * says that nobody wants it any more, and anything else is tried again. Redirections are not
 * followed, and what the receiver writes is not read beyond its status.
 *
 * One address has few calls in flight, so that a slow one holds nobody up; one that takes nothing
 * is left alone for longer each time (failing_addresses). */
#ifndef METERLINE_NOTIFIER_POSTER_H
#define METERLINE_NOTIFIER_POSTER_H

#include "notifier/context.h"

struct poster;

/* context is borrowed until it is closed. */
struct poster *poster_open(const struct context *context);
/* There may be a message. */
void poster_wake(struct poster *p);
bool poster_is_idle(const struct poster *p);
bool poster_is_ready(const struct poster *p);
void poster_close(struct poster *p);

#endif
