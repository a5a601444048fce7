/* A few connections to PostgreSQL that requests share: whoever needs one waits for its turn, the
 * oldest first, and gives it back.
 *
 * Failure modes: none is free within the deadline: ERR_TIMEOUT, nothing was sent. Too many wait
 * already: ERR_REFUSED with retry, from the loop like every other answer. A connection that is lost
 * while somebody has it: what was in flight fails as with pg.h, and pg_is_ready is then false. */
#ifndef METERLINE_PG_POOL_H
#define METERLINE_PG_POOL_H

#include "common/pg/pg.h"

struct pg_pool; /* opaque */

enum { PG_POOL_MAX = 64 };

/* on_up, on_down: of any of the connections; may be NULL. The rest as pg_open. */
struct pg_pool *pg_pool_open(uv_loop_t *loop, const char *url, const char *role,
                             const char *application_name, int size, struct pg_events events);

/* One is up. */
bool pg_pool_is_up(const struct pg_pool *pool);
/* Nobody has one, and nobody waits. */
bool pg_pool_is_idle(const struct pg_pool *pool);

/* One connection, ready, until pg_pool_give. pg NULL: error says why. Runs exactly once, from the
 * loop; from within this call if one is free. */
typedef void (*pg_taken_fn)(void *owner, struct pg *pg, const struct err *error);
void pg_pool_take(struct pg_pool *pool, uint64_t deadline_ms, pg_taken_fn taken, void *owner);
/* Outside of a transaction, or after it has failed: see pg.h. */
void pg_pool_give(struct pg_pool *pool, struct pg *pg);

/* As pg_run, with whichever connection is free first. Values are copied if it has to wait. The
 * deadline holds for the wait, and then anew for the statements. */
void pg_pool_run(struct pg_pool *pool, const struct pg_statement *statements, int n,
                 uint64_t deadline_ms, pg_done_fn done, void *owner);

/* The statements with their values, in one piece of memory, the caller's to free. */
struct pg_statement *pg_copy_statements(const struct pg_statement *statements, int n);

/* Who waits gets ERR_CANCELED at once, and so does who asks from now on. What is in flight gets it
 * from the loop; a connection that is taken and idle must still be given back. closed runs from the
 * loop. */
void pg_pool_close(struct pg_pool *pool, void (*closed)(void *owner), void *owner);

#endif
