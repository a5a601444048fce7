/* Every minute, goes over the limits of all tenants in the quota cache, a page at a time, so that
 * whatever was lost there comes back. On the way it counts webhook events for /metrics and deletes
 * old payloads and observations.
 *
 *   RESTING -> COUNTING -> STAMPING -> LISTING -> READING -> CACHING -> PAUSING -> LISTING -> …
 *      ^          |           |           |          |          |          |
 *      +----------+-----------+-----------+----------+----------+----------+  (an error, or the
 * end)
 *
 * The happy path: a page of tenants is listed. The quotas of those without any are refreshed, or of
 * all if the catalog has changed. Limits are read, and written into Redis where they differ. A
 * short pause lets webhook events go first. A page is one transaction, which locks only the tenants
 * that it refreshes. Between two sweeps, only the events that wait are counted.
 *
 * While the stamp of Redis says that no key was lost (redis_stamp.h), tenants whose limits are
 * known to be there cost no command. Every tenth sweep verifies all of them, because a stamp cannot
 * see a field that somebody overwrote.
 *
 * Failure modes: PostgreSQL or Redis is away. The sweep ends, and the next one begins a minute
 * later, or as soon as Redis is back. */
#ifndef METERLINE_WEBHOOKD_LIMITS_SWEEP_H
#define METERLINE_WEBHOOKD_LIMITS_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

struct context;
struct limits;
struct limits_sweep;

struct limits_sweep *limits_sweep_open(const struct context *context, struct limits *limits);
/* Redis is back and may be empty: begin a sweep now, or as soon as the current one has ended. */
void limits_sweep_hurry(struct limits_sweep *s);
/* The cache was lost: likewise, and write all without a look at what is there. */
void limits_sweep_fill(struct limits_sweep *s);
/* The catalog has this version: hurry if the last sweep began with another one. */
void limits_sweep_note_catalog(struct limits_sweep *s, int64_t version);
/* Nothing is in flight. */
bool limits_sweep_is_idle(const struct limits_sweep *s);
void limits_sweep_close(struct limits_sweep *s);

#endif
