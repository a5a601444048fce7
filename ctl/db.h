/* PostgreSQL for a tool: one blocking connection, parameters and results as text. */
#ifndef METERLINE_CTL_DB_H
#define METERLINE_CTL_DB_H

#include "common/err.h"

#include <libpq-fe.h>
#include <stdint.h>

/* Connect. Each transaction then begins by taking the role and the settings that every stage
 * uses, so that it works through a pooler. role: a static string; NULL stays the URL's own user.
 * One connection at a time. Returns NULL with e. */
PGconn *db_open(const char *url, const char *role, struct err *e);

/* Statements that take longer are cut off by the server; 0 lets them run. */
void db_set_timeout(int timeout_ms);

/* Run one statement with n parameters, NULL for SQL NULL, in a transaction of its own unless one
 * is open. Returns the result, the caller's to PQclear, or NULL with e. */
PGresult *db_query(PGconn *conn, const char *sql, int n, const char *const *values, struct err *e);

/* The same where the rows do not matter. rows may be NULL, else the number returned or changed. */
int db_run(PGconn *conn, const char *sql, int n, const char *const *values, int64_t *rows,
           struct err *e);

/* The same where there is one row with one number, which is put into *out; SQL NULL as 0. */
int db_number(PGconn *conn, const char *sql, int n, const char *const *values, int64_t *out,
              struct err *e);

/* Any number of statements without parameters, such as BEGIN or a migration's text. BEGIN sets role
 * and settings. */
int db_script(PGconn *conn, const char *text, struct err *e);

/* BEGIN, the work, and COMMIT; ROLLBACK if the work returned -1 with e. Returns 0, or -1 with e. */
typedef int (*db_work_fn)(PGconn *conn, void *owner, struct err *e);
int db_transaction(PGconn *conn, db_work_fn work, void *owner, struct err *e);

/* BEGIN of one snapshot in which retention drops no raw event. The lock comes before the
 * snapshot, so that what retention dropped and its tally are seen together. */
int db_begin_snapshot(PGconn *conn, struct err *e);

/* One statement, a row at a time, so that memory does not grow with them: on_row gets a result of
 * one row, which is valid only during the call. In a transaction of the caller's. Returns 0, or -1
 * with e after any number of rows. */
enum db_format { DB_TEXT, DB_BINARY };
typedef void (*db_row_fn)(void *owner, const PGresult *row);
int db_each(PGconn *conn, const char *sql, int n, const char *const *values, enum db_format format,
            db_row_fn on_row, void *owner, struct err *e);

/* One field. NULL (or 0) where it is SQL NULL. */
const char *db_text(const PGresult *r, int row, int column);
int64_t db_i64(const PGresult *r, int row, int column);

/* The row that has this text in column, which is never SQL NULL; or -1. r may be NULL. */
int db_find(const PGresult *r, int column, const char *text);

#endif
