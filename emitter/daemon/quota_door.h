/* Answers whether a tenant may use so much more of a metric, for gateways and services.
 *
 * The verdict is that of the function meterline_check in Redis. Callers who ask the same at the
 * same time share one call of it, and its answer is given again for QUOTA_CACHE_MS; from half of
 * that on the first one to ask has it asked anew, and does not wait for it. So a hard limit may be
 * passed by what a tenant uses in that time, beside what it may without (docs/quotas.md). A header
 * tells when Redis was asked.
 */
#ifndef METERLINE_EMITTER_QUOTA_DOOR_H
#define METERLINE_EMITTER_QUOTA_DOOR_H

#include "common/http/http_server.h"
#include "emitter/daemon/context.h"
#include "emitter/daemon/quota_answer.h"

struct redis_router;
struct quota_door; /* opaque */

/* Returns NULL with e. */
struct quota_door *quota_door_open(const struct context *context, struct err *e);
/* GET /v1/quota/check: tenant, metric and quantity of the query, or X-Tenant, X-Metric and
 * X-Quantity; deny=403 for that status in place of 429. With more behind the path, by any method,
 * the headers alone. Answers x, now or later. */
void quota_door_check(struct quota_door *q, struct http_exchange *x, const struct caller *caller);
/* Borrowed: for other commands on the quota cache. */
struct redis_router *quota_door_router(const struct quota_door *q);
/* An answer as HTTP. asked_ms: Unix, when Redis was asked. denied: the status of a deny. */
enum { QUOTA_DENIED = 429 };
struct http_response *quota_response_new(const struct daemon_config *config,
                                         const struct quota_answer *a, int64_t asked_ms,
                                         int denied);
bool quota_door_is_up(const struct quota_door *q);
bool quota_door_was_up(const struct quota_door *q); /* at any time */
void quota_door_close(struct quota_door *q);

#endif
