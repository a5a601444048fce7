/* Answers whether a tenant may use so much more of a metric, for gateways and services.
 *
 * The verdict is that of the function meterline_check in Redis. Callers who ask the same at the
 * same time share one call of it, and its answer is given again for QUOTA_CACHE_MS: so a hard limit
 * may be passed by what a tenant uses in that time, beside what it may without (docs/quotas.md). A
 * header tells how old the answer is. */
#ifndef METERLINE_EMITTER_QUOTA_DOOR_H
#define METERLINE_EMITTER_QUOTA_DOOR_H

#include "common/http/http_server.h"
#include "emitter/daemon/context.h"

struct quota_door; /* opaque */

/* Returns NULL with e. */
struct quota_door *quota_door_open(const struct context *context, struct err *e);
/* GET /v1/quota/check: tenant, metric and quantity of the query, or X-Tenant, X-Metric and
 * X-Quantity. Answers x, now or later. */
void quota_door_check(struct quota_door *q, struct http_exchange *x, const struct caller *caller);
bool quota_door_is_up(const struct quota_door *q);
void quota_door_close(struct quota_door *q);

#endif
