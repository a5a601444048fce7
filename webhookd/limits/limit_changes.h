/* Brings changed limits into the quota cache within a second, whoever changed them: an operator who
 * gave a tenant limits of its own, or a new catalog. Changes that follow from a webhook event are
 * cached by the worker of that event.
 *
 *   RESTING -> LOOKING -> READING -> CACHING -> FORGETTING -> LOOKING -> …
 *      ^          |          |          |           |
 *      +----------+----------+----------+-----------+  (nothing changed, or an error)
 *
 * The happy path: triggers note each changed tenant in `limit_changes`. Four times a second a page
 * of them is taken, and those with whom something has ended since: their quotas are refreshed,
 * their limits are read and written into Redis, and the notes are deleted, except for tenants that
 * changed again meanwhile. A new version of the catalog concerns all tenants, so it starts a sweep.
 * A look costs less than a millisecond, and works through any pooler, which LISTEN does not.
 *
 * Failure modes: while PostgreSQL or Redis is away, the notes stay. Several processes may work on
 * the same notes, which does no harm. */
#ifndef METERLINE_WEBHOOKD_LIMIT_CHANGES_H
#define METERLINE_WEBHOOKD_LIMIT_CHANGES_H

#include <stdbool.h>

struct context;
struct limit_changes;
struct limits;
struct limits_sweep;

/* Everything is borrowed until it is closed. */
struct limit_changes *limit_changes_open(const struct context *context, struct limits *limits,
                                         struct limits_sweep *sweep);
/* Nothing is in flight. */
bool limit_changes_are_idle(const struct limit_changes *c);
void limit_changes_close(struct limit_changes *c);

#endif
