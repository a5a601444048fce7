/* One connection to PostgreSQL, usable while it is up and its schema is the one that we need. */
#ifndef METERLINE_SINK_SESSION_H
#define METERLINE_SINK_SESSION_H

#include "common/pg/pg.h"
#include "common/stage.h"

struct session;

struct session_events {
    void (*on_usable)(void *owner); /* each time it becomes usable (again); from the loop */
    void *owner;
};

/* name: "claim", "send". A schema that is too new ends the stage with exit code 1. */
struct session *session_open(struct stage *stage, const char *url, const char *name,
                             struct session_events events);

/* Connected, schema checked, no pipeline in flight. */
bool session_is_idle(const struct session *s);
/* Appends what is missing to why, and returns false, while it is not usable. */
bool session_is_usable(const struct session *s, struct buf *why);

/* As pg_run; session_is_idle is asserted. */
void session_run(struct session *s, const struct pg_statement *statements, int n,
                 uint64_t deadline_ms, pg_done_fn done, void *owner);

/* As pg_stream; likewise. */
void session_stream(struct session *s, const struct pg_statement *statement, uint64_t deadline_ms,
                    pg_row_fn on_row, pg_done_fn done, void *owner);

/* Its connection, for code of common/ that runs pipelines of its own; while it is idle (asserted).
 */
struct pg *session_pg(struct session *s);

/* A pipeline in flight gets ERR_CANCELED; closed runs from the loop when s is freed. */
void session_close(struct session *s, void (*closed)(void *owner), void *owner);

#endif
