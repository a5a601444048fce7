/* Compares what was sent with Stripe's own figures: every night, when somebody asked for a tenant
 * (sink_requests), after a restore, and to resolve what is in doubt. It has a connection and a rate
 * of its own, so that sending never waits for it. */
#ifndef METERLINE_SINK_RECONCILER_H
#define METERLINE_SINK_RECONCILER_H

#include "common/stage.h"
#include "sink/config.h"

#include <stdint.h>

struct reconciler;

/* config: borrowed for its life. */
struct reconciler *reconciler_open(struct stage *stage, const struct config *config);
/* How many tenants have usage that is held until it is compared with Stripe, after a restore. */
int64_t reconciler_unproven(const struct reconciler *r);
/* Begin nothing new. A run under way is ended by closing. */
void reconciler_stop(struct reconciler *r);
/* closed runs from the loop when r is freed. */
void reconciler_close(struct reconciler *r, void (*closed)(void *owner), void *owner);

#endif
