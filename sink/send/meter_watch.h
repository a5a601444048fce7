/* Looks whether Stripe's meters count what we send as we bill it, at the start, every five minutes,
 * when the catalog has another one, and when a refusal says so. Usage by an event name whose meter
 * does not is held (meter_holds) instead of failing, or of being billed as something else; while
 * anything is held it looks again within seconds, later within a minute, and once the meter is
 * there, what waited goes out by itself. */
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
/* The first look has been, or cannot be had within seconds. */
bool meter_watch_has_answered(const struct meter_watch *w);
/* How many event names are held, as last looked; the faults of those that usage waits for are
 * appended to why. */
int meter_watch_held(const struct meter_watch *w, struct buf *why);

/* No further look. closed runs from the loop when w is freed. */
void meter_watch_stop(struct meter_watch *w);
void meter_watch_close(struct meter_watch *w, void (*closed)(void *owner), void *owner);

#endif
