/* PostgreSQL for a tool. */
#include "ctl/db.h"

#include "common/pg.h"
#include "common/sql.h"
#include "ctl/sql.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Notices, such as "relation exists already", are not for the operator's terminal. */
static void drop_notice(void *owner, const PGresult *result)
{
    (void)owner;
    (void)result;
}

static PGconn *connect_to(const char *url)
{
    /* A later keyword wins, so the URL may set its own timeout but not our name. */
    const char *keys[] = {"connect_timeout", "dbname", "application_name", "client_encoding", NULL};
    const char *values[] = {"5", url, "meterctl", "UTF8", NULL};

    return PQconnectdbParams(keys, values, 1);
}

static int set_role(PGconn *conn, const char *role, struct err *e)
{
    if (!role || db_run(conn, SQL_SET_ROLE, 1, &role, NULL, e) == 0)
        return 0;
    return err_wrap(
        e, "take the role %s (was `meterctl migrate` run, and is the login granted it?)", role);
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
    if (db_run(conn, SQL_SET_SESSION, 0, NULL, NULL, e) || set_role(conn, role, e)) {
        PQfinish(conn);
        return NULL;
    }
    return conn;
}

int db_set_timeout(PGconn *conn, int timeout_ms, struct err *e)
{
    char text[16];
    const char *value = text;

    snprintf(text, sizeof text, "%d", timeout_ms);
    return db_run(conn, SQL_SET_TIMEOUT, 1, &value, NULL, e);
}

/* The result if it is a good one, else NULL with e. */
static PGresult *checked(PGconn *conn, PGresult *result, struct err *e)
{
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return result;
    pg_result_err(e, conn, result);
    PQclear(result);
    return NULL;
}

PGresult *db_query(PGconn *conn, const char *sql, int n, const char *const *values, struct err *e)
{
    return checked(conn, PQexecParams(conn, sql, n, NULL, values, NULL, NULL, 0), e);
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

int db_script(PGconn *conn, const char *text, struct err *e)
{
    PGresult *result = checked(conn, PQexec(conn, text), e);
    PQclear(result);
    return result ? 0 : -1;
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
