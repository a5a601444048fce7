/* PostgreSQL under libuv: one connection that connects, reconnects by itself, and runs pipelines of
 * parameterised statements, each transaction in the stage's role.
 *
 *      WAITING -> RESOLVING -> CONNECTING -> SETUP -> READY <-> BUSY
 *         ^           |            |           |        |        |
 *         +-----------+------------+-----------+--------+--------+  (100 ms to 5 s, with jitter)
 *
 * A pipeline without BEGIN is one transaction, which the adapter begins and commits: libpq sends
 * everything up to one Sync, and after a statement that fails the server skips the rest. A pipeline
 * may also contain BEGIN without COMMIT; then the caller must finish the transaction (COMMIT or
 * ROLLBACK) by a later pipeline. If a pipeline fails inside a transaction, the adapter sends
 * ROLLBACK before it calls done. A connection runs one pipeline at a time; stages open as many
 * connections as they need.
 *
 * Failure modes: a lost connection or a passed deadline while a pipeline is in flight gives
 * ERR_CLOSED or ERR_TIMEOUT: the outcome is unknown (the connection is dropped and made anew). A
 * statement that the server refused gives ERR_REFUSED with its sqlstate; nothing was written. With
 * retry, it was for a cause that passes, such as a full disk; else see pg_is_data_fault. */
#ifndef METERLINE_PG_H
#define METERLINE_PG_H

#include "common/err.h"

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct pg; /* opaque: one connection */

enum { PG_MAX_PARAMS = 32 };

/* Type OIDs from PostgreSQL's catalog/pg_type.dat, for binary parameters. */
enum pg_oid {
    PG_BOOL = 16,
    PG_BYTEA = 17,
    PG_INT8 = 20,
    PG_INT2 = 21,
    PG_INT4 = 23,
    PG_TEXT = 25,
    PG_JSON = 114,
    PG_UUID = 2950,
    PG_NUMERIC = 1700,
    PG_TIMESTAMPTZ = 1184,
    PG_DATE = 1082,
    PG_JSONB = 3802,
    PG_INT2_ARRAY = 1005,
    PG_INT4_ARRAY = 1007,
    PG_INT8_ARRAY = 1016,
    PG_TEXT_ARRAY = 1009,
    PG_UUID_ARRAY = 2951,
    PG_NUMERIC_ARRAY = 1231,
    PG_TIMESTAMPTZ_ARRAY = 1185,
    PG_BOOL_ARRAY = 1000,
    PG_BYTEA_ARRAY = 1001
};

/* One statement. Text parameters (format 0): value is NUL-terminated, length ignored, type 0 lets
 * the server infer. Binary ones (format 1): value and length, type given. NULL value: SQL NULL. */
struct pg_statement {
    const char *sql;                   /* static or living until done */
    int params;                        /* at most PG_MAX_PARAMS */
    const char *values[PG_MAX_PARAMS]; /* borrowed until pg_run returns: libpq copies them */
    int lengths[PG_MAX_PARAMS];
    int formats[PG_MAX_PARAMS];
    unsigned types[PG_MAX_PARAMS];
    bool binary_result;
};

/* Fill s; the adders below append one parameter each. Results are text unless the caller sets
 * binary_result, which the pg_get functions and arrays need. */
void pg_statement_init(struct pg_statement *s, const char *sql);
void pg_add_text(struct pg_statement *s, const char *text); /* NUL-terminated or NULL */
void pg_add_binary(struct pg_statement *s, unsigned type, const void *data, size_t length);
/* Integers as binary int8 need storage that lives until pg_run: give 8 bytes of it. */
void pg_add_i64(struct pg_statement *s, int64_t v, unsigned char storage[8]);

/* error NULL: every statement succeeded, results[i] belongs to statement i. Otherwise n is 0
 * (nothing was written, or the outcome is unknown: see the head). Results are borrowed until done
 * returns; one that done sets to NULL is its own to clear. */
typedef void (*pg_done_fn)(void *owner, const struct err *error, PGresult **results, int n);

/* on_up: the connection is ready (again). on_down: it was lost, or could not be made (after each
 * try); `error` says why; it comes after done, and not after pg_close. on_notified: one or more
 * NOTIFY came that this session listens to, at most once in a turn of the loop. All from the loop;
 * each may be NULL. Peer lost and back is logged here, once. */
struct pg_events {
    void (*on_up)(void *owner);
    void (*on_down)(void *owner, const struct err *error);
    void (*on_notified)(void *owner);
    void *owner;
};

/* Wraps what PostgreSQL says of a role that a login may not take. */
#define PG_ROLE_REFUSED                                                                            \
    "may not act as %s (was `meterctl migrate` run, and is this login granted that role?)"

/* How each transaction begins, whatever the defaults of the role, the database or the server. */
#define PG_BEGIN "begin isolation level read committed read write"

/* Start connecting; never fails at once. url and role are copied; role NULL sets none. Each
 * transaction begins as PG_BEGIN says ("begin" of a caller's stands for it), and with the role,
 * synchronous_commit=on, timezone UTC, search_path public and what else matters, set for it alone
 * (sql/set_transaction.sql); nothing is kept in the session, so that a pooler may change it between
 * two transactions. Of several hosts or addresses the first one is taken that can be written to. A
 * session that turns out read-only (a standby, 25006) is lost like a broken one: the names are
 * looked up anew, and all hosts are tried. */
struct pg *pg_open(uv_loop_t *loop, const char *url, const char *role, const char *application_name,
                   struct pg_events events);

/* Every connection that this process makes from now on uses this URL in place of the one it was
 * opened with: for a password that was changed. Copied; NULL ends it. */
void pg_use_url(const char *url);

bool pg_is_ready(const struct pg *pg); /* connected, and no pipeline in flight */
bool pg_is_up(const struct pg *pg);    /* connected */

/* While it is up: the session is the server's own. Through a pooler, another transaction may have
 * another session, so that LISTEN is of no use. */
bool pg_is_direct(const struct pg *pg);

/* Run one pipeline. Needs pg_is_ready (asserted). deadline_ms: how long to wait for all of it. done
 * runs exactly once, from the loop, never inside this call. */
void pg_run(struct pg *pg, const struct pg_statement *statements, int n, uint64_t deadline_ms,
            pg_done_fn done, void *owner);

/* The same with statements that are asked for one by one, whenever the socket has taken those
 * before: the server works on the first ones while later ones are made, and libpq never holds many
 * of them. next fills s, whose values must live until it is called again; PG_LATER: the caller will
 * pg_push. It is called from within pg_pull and pg_push too, and no more once done was. most: of
 * statements. */
enum pg_more { PG_STATEMENT, PG_LATER, PG_END };
typedef enum pg_more (*pg_next_fn)(void *owner, struct pg_statement *s);
void pg_pull(struct pg *pg, int most, uint64_t deadline_ms, pg_next_fn next, pg_done_fn done,
             void *owner);
/* There may be a next statement now. Does nothing if the pipeline has ended meanwhile. */
void pg_push(struct pg *pg);

/* Like pg_run (text unless binary_result is set), but rows of the ONE statement come one at a time
 * as they arrive (single-row mode); memory stays flat. row is borrowed. Then done as above with
 * n = 0. on_row may call pg_reset or pg_close; no row comes after that. */
typedef void (*pg_row_fn)(void *owner, const PGresult *row);
void pg_stream(struct pg *pg, const struct pg_statement *statement, uint64_t deadline_ms,
               pg_row_fn on_row, pg_done_fn done, void *owner);

/* Drop the connection and connect anew, if the session is doubtful. A pipeline in flight gets
 * ERR_CLOSED, and on_down is called. Without a connection it does nothing. */
void pg_reset(struct pg *pg);

/* Call it once. A pipeline in flight gets ERR_CANCELED; then pg is freed and closed runs, from the
 * loop. */
void pg_close(struct pg *pg, void (*closed)(void *owner), void *owner);

/* Server clock minus ours in ms, as last measured at connect; 0 before. */
int64_t pg_clock_offset_ms(const struct pg *pg);

/* Fields of binary results; the field must not be NULL (asserted by length). */
int64_t pg_get_i64(const PGresult *r, int row, int column);     /* int2, int4, int8, bool */
int64_t pg_get_time_ms(const PGresult *r, int row, int column); /* timestamptz, Unix ms */

/* The data are at fault: their form (class 22) or size (54000), or a check of a value. Any other
 * error would happen with whatever entry, webhook or submission it was. */
bool pg_is_data_fault(const struct err *e);

/* The error of a synchronous result or connection, for meterctl and tests. Returns -1. */
int pg_result_err(struct err *e, const PGconn *conn, const PGresult *result);

#endif
