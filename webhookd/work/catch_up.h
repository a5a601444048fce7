/* Finds events that were never delivered: reads GET /v1/events from where it was read last, at
 * start and then every CATCH_UP_INTERVAL_S, and stores what is not there, as if it had been
 * delivered. One process does it at a time, by a lease in stripe_catch_up.
 *
 *   RESTING -> TAKING -> ASKING -> STORING -> RESTING
 *      ^         |         |  ^       |
 *      +---------+---------+  +-------+ next page, next window
 *
 * The happy path: the time since the position is read in windows, the oldest first, each page by
 * page; after a window the position moves. A little of what was read before is read again, since
 * Stripe may list an event later than younger ones. Windows that hold little grow.
 *
 * Failure modes: Stripe or PostgreSQL is away, or the stage drains: it ends where it is, and the
 * next try goes on from the position. The process dies: its lease passes. Stripe lists no events
 * that are older than 30 days (docs.stripe.com/api/events/list): if the position is, all objects
 * are read first (stripe_sync.h). */
#ifndef METERLINE_WEBHOOKD_CATCH_UP_H
#define METERLINE_WEBHOOKD_CATCH_UP_H

#include <stdbool.h>

struct catch_up;
struct context;
struct fetcher;

/* on_stored: there are new events. Everything is borrowed until it is closed. */
struct catch_up *catch_up_open(const struct context *context, struct fetcher *fetcher,
                               void (*on_stored)(void *owner), void *owner);
/* The schema is ready now, if it was not. */
void catch_up_wake(struct catch_up *c);
/* It has nothing to finish. While the stage drains it begins nothing. */
bool catch_up_is_idle(const struct catch_up *c);
void catch_up_close(struct catch_up *c);

#endif
