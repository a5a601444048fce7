#include "ctl/db.h"

#include "common/pg/pg.h"
#include "common/sql.h"
#include "ctl/ctl.h"
#include "ctl/sql.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Notices, such as "relation exists already", are not for the operator's terminal. */
static void drop_notice(void *owner, const PGresult *result)
{
    (void)owner;
    (void)result;
}

static bool has_several_hosts(const char *url)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    bool several = false;
    for (const PQconninfoOption *o = options; o && o->keyword; o++)
        several = several || (strcmp(o->keyword, "host") == 0 && o->val && strchr(o->val, ','));
    PQconninfoFree(options);
    return several;
}

static PGconn *connect_to(const char *url)
{
    /* A later keyword wins, so the URL may set its own timeout but not our name. Of several
     * hosts the primary is taken; a single host that is a standby gives a clear error by itself. */
    const char *wanted = has_several_hosts(url) ? "primary" : "any";
    const char *keys[] = {"connect_timeout",  "target_session_attrs", "dbname",
                          "application_name", "client_encoding",      NULL};
    const char *values[] = {"5", wanted, url, "meterctl", "UTF8", NULL};
    return PQconnectdbParams(keys, values, 1);
}

/* Of the one connection that a run of the tool has. They are set at the beginning of each
 * transaction, since behind a pooler the next one may run in another session of the server. */
static const char *current_role; /* NULL: the login's own */
static char timeout_ms_text[16] = "0";

static PGresult *query_here(PGconn *conn, const char *sql, int n, const char *const *values,
                            struct err *e);

static int set_transaction(PGconn *conn, struct err *e)
{
    const char *values[] = {current_role, timeout_ms_text};
    PGresult *result = query_here(conn, SQL_SET_TRANSACTION, 2, values, e);
    PQclear(result);
    if (result)
        return 0;
    return current_role && e->kind == ERR_REFUSED ? err_wrap(e, PG_ROLE_REFUSED, current_role) : -1;
}

PGconn *db_open(const char *url, const char *role, struct err *e)
{
    PGconn *conn = connect_to(url);
    if (PQstatus(conn) != CONNECTION_OK) {
        pg_result_err(e, conn, NULL);
        err_wrap(e, "postgres");
        PQfinish(conn);
        return NULL;
    }
    PQsetNoticeReceiver(conn, drop_notice, NULL);
    current_role = role;
    if (db_script(conn, "BEGIN", e) || db_script(conn, "COMMIT", e)) {
        err_wrap(e, "postgres");
        PQfinish(conn);
        return NULL;
    }
    return conn;
}

void db_set_timeout(int timeout_ms)
{
    snprintf(timeout_ms_text, sizeof timeout_ms_text, "%d", timeout_ms);
}

/* The result if it is a success, else NULL with e. */
static PGresult *checked(PGconn *conn, PGresult *result, struct err *e)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return result;
    pg_result_err(e, conn, result);
    PQclear(result);
    return NULL;
}

/* The last result, or the first failure: a pooler that reaches no server says so, and then closes
 * the connection, of which PQexec would tell alone. */
static PGresult *take_result(PGconn *conn, int sent)
{
    PGresult *taken = NULL;
    PGresult *next;
    while (sent && (next = PQgetResult(conn)) != NULL) {
        bool is_first = !taken || PQresultStatus(taken) != PGRES_FATAL_ERROR;
        PQclear(is_first ? taken : next);
        taken = is_first ? next : taken;
    }
    return taken;
}

static PGresult *query_here(PGconn *conn, const char *sql, int n, const char *const *values,
                            struct err *e)
{
    int sent = PQsendQueryParams(conn, sql, n, NULL, values, NULL, NULL, 0);
    return checked(conn, take_result(conn, sent), e);
}

PGresult *db_query(PGconn *conn, const char *sql, int n, const char *const *values, struct err *e)
{
    struct err ignored = {0};
    if (PQtransactionStatus(conn) != PQTRANS_IDLE)
        return query_here(conn, sql, n, values, e);
    PGresult *result = db_script(conn, "BEGIN", e) ? NULL : query_here(conn, sql, n, values, e);
    if (result && db_script(conn, "COMMIT", e) == 0)
        return result;
    PQclear(result);
    if (PQtransactionStatus(conn) != PQTRANS_IDLE)
        db_script(conn, "ROLLBACK", &ignored);
    return NULL;
}

int db_run(PGconn *conn, const char *sql, int n, const char *const *values, int64_t *rows,
           struct err *e)
{
    PGresult *result = db_query(conn, sql, n, values, e);
    if (!result)
        return -1;
    if (rows)
        *rows = strtoimax(PQcmdTuples(result), NULL, 10);
    PQclear(result);
    return 0;
}

int db_number(PGconn *conn, const char *sql, int n, const char *const *values, int64_t *out,
              struct err *e)
{
    PGresult *result = db_query(conn, sql, n, values, e);
    if (!result)
        return -1;
    *out = db_i64(result, 0, 0);
    PQclear(result);
    return 0;
}

int db_transaction(PGconn *conn, db_work_fn work, void *owner, struct err *e)
{
    struct err ignored = {0};
    if (db_script(conn, "BEGIN", e))
        return -1;
    if (work(conn, owner, e) == 0)
        return db_script(conn, "COMMIT", e);
    db_script(conn, "ROLLBACK", &ignored);
    return -1;
}

int db_each(PGconn *conn, const char *sql, int n, const char *const *values, enum db_format format,
            db_row_fn on_row, void *owner, struct err *e)
{
    if (!PQsendQueryParams(conn, sql, n, NULL, values, NULL, NULL, format == DB_BINARY) ||
        !PQsetSingleRowMode(conn)) {
        pg_result_err(e, conn, NULL);
        return -1;
    }
    PGresult *result;
    int failed = 0;
    while ((result = PQgetResult(conn)) != NULL) {
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_SINGLE_TUPLE)
            on_row(owner, result);
        else if (status != PGRES_TUPLES_OK && !failed) {
            pg_result_err(e, conn, result);
            failed = -1;
        }
        PQclear(result);
    }
    return failed;
}

int db_script(PGconn *conn, const char *text, struct err *e)
{
    bool was_idle = PQtransactionStatus(conn) == PQTRANS_IDLE;
    bool is_begin = strcasecmp(text, "begin") == 0;
    int sent = PQsendQuery(conn, is_begin ? PG_BEGIN : text);
    PGresult *result = checked(conn, take_result(conn, sent), e);
    PQclear(result);
    if (!result)
        return -1;
    return was_idle && PQtransactionStatus(conn) == PQTRANS_INTRANS ? set_transaction(conn, e) : 0;
}

int db_begin_snapshot(PGconn *conn, struct err *e)
{
    return db_script(conn,
                     "begin isolation level repeatable read read write; set local role " CTL_ROLE
                     ";"
                     "lock table public.usage_batches in access share mode",
                     e);
}

const char *db_text(const PGresult *r, int row, int column)
{
    assert(column >= 0 && column < PQnfields(r));
    return PQgetisnull(r, row, column) ? NULL : PQgetvalue(r, row, column);
}

int64_t db_i64(const PGresult *r, int row, int column)
{
    const char *text = db_text(r, row, column);
    return text ? strtoimax(text, NULL, 10) : 0;
}

int db_find(const PGresult *r, int column, const char *text)
{
    for (int row = 0; row < PQntuples(r); row++)
        if (strcmp(db_text(r, row, column), text) == 0)
            return row;
    return -1;
}
