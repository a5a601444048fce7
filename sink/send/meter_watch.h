/* Looks whether Stripe's meters count our usage the way that we bill it: at the start, every five
 * minutes, when the catalog changes, and when a refusal says so.
 *
 * Usage by an event name whose meter does not is held (meter_holds), so that it neither fails nor
 * is billed as something else. While anything is held the watch looks again within seconds, later
 * within a minute. Once the meter is there, what waited is sent without a command. */
#ifndef METERLINE_SINK_METER_WATCH_H
#define METERLINE_SINK_METER_WATCH_H

#include "sink/config.h"
#include "sink/session.h"

#include <stdbool.h>

struct meter_watch;

/* on_change: from the loop, after each look: more may be sent than before, or less. */
struct meter_watch *meter_watch_open(struct stage *stage, const struct config *config,
                                     void (*on_change)(void *owner), void *owner);

/* A refusal tells that a meter is at fault: look soon. */
void meter_watch_look(struct meter_watch *w);
/* The first look is over, or cannot be made within seconds. */
bool meter_watch_has_answered(const struct meter_watch *w);
/* How many event names are held, as last looked; the faults of those that usage waits for are
 * appended to why. */
int meter_watch_held(const struct meter_watch *w, struct buf *why);

/* No further look. closed runs from the loop when w is freed. */
void meter_watch_stop(struct meter_watch *w);
void meter_watch_close(struct meter_watch *w, void (*closed)(void *owner), void *owner);

#endif
