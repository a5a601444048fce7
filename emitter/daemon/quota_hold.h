/* Reservations: POST /v1/quota/reserve and /v1/quota/settle (docs/quotas.md).
 *
 * What they need is in the body, a JSON object, or in the query: tenant, metric, id; quantity and
 * ttl_ms to reserve; to settle the entry that XADD answered, or the event itself, which is then
 * emitted here. If Redis does not take the event now, it goes into the spool, and the reservation
 * ends by its time. */
#ifndef METERLINE_EMITTER_QUOTA_HOLD_H
#define METERLINE_EMITTER_QUOTA_HOLD_H

#include "emitter/daemon/quota_door.h"

struct redis_router;
struct quota_hold; /* opaque */

/* router: borrowed; it ends the commands in flight before h is closed. */
struct quota_hold *quota_hold_open(const struct context *context, struct redis_router *router);
/* Answer x, now or later. */
void quota_hold_reserve(struct quota_hold *h, struct http_exchange *x, const struct caller *caller);
void quota_hold_settle(struct quota_hold *h, struct http_exchange *x, const struct caller *caller);
void quota_hold_close(struct quota_hold *h);

#endif
