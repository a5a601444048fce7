/* What libpq and the server say, as our errors. */
#include "common/pg_internal.h"

#include "common/log.h"

#include <stdio.h>
#include <string.h>

void pg_first_line(const char *text, char *out, size_t size)
{
    size_t length = strcspn(text ? text : "", "\r\n");
    (void)snprintf(out, size, "%.*s", (int)length, text ? text : "");
}

static bool has_class(const char *sqlstate, const char *class)
{
    return strncmp(sqlstate, class, strlen(class)) == 0;
}

/* https://www.postgresql.org/docs/15/errcodes-appendix.html: 08 connection exceptions, 57P01 to
 * 57P03 shutdown and start-up, 53300 too many connections. */
static bool is_loss(const char *sqlstate)
{
    return has_class(sqlstate, "08") || has_class(sqlstate, "57P01") ||
           has_class(sqlstate, "57P02") || has_class(sqlstate, "57P03") ||
           has_class(sqlstate, "53300");
}

/* Serialization failure, deadlock, lock not available: the same pipeline may succeed later. */
static bool passes_by_itself(const char *sqlstate)
{
    return has_class(sqlstate, "40001") || has_class(sqlstate, "40P01") ||
           has_class(sqlstate, "55P03");
}

static void set_result_text(struct err *e, enum err_kind kind, const PGresult *r)
{
    char primary[sizeof e->text];
    char detail[sizeof e->text];
    const char *said = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
    pg_first_line(said ? said : PQresultErrorMessage(r), primary, sizeof primary);
    pg_first_line(PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL), detail, sizeof detail);
    err_set(e, kind, "%s%s%s", primary, *detail ? ": " : "", detail);
}

static void set_conn_text(struct err *e, const PGconn *conn)
{
    char line[sizeof e->text];
    pg_first_line(PQerrorMessage(conn), line, sizeof line);
    err_set(e, ERR_CLOSED, "%s", line);
}

int pg_result_err(struct err *e, const PGconn *conn, const PGresult *result)
{
    const char *sqlstate = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    if (result)
        set_result_text(e, !sqlstate || is_loss(sqlstate) ? ERR_CLOSED : ERR_REFUSED, result);
    else
        set_conn_text(e, conn);
    if (sqlstate && passes_by_itself(sqlstate))
        e->retry = true;
    (void)snprintf(e->sqlstate, sizeof e->sqlstate, "%s", sqlstate ? sqlstate : "");
    return -1;
}

void pg_loss_err(const struct pg *pg, struct err *e)
{
    if (pg->fatal.kind != ERR_NONE) {
        *e = pg->fatal;
        return;
    }
    pg_result_err(e, pg->conn, NULL);
    if (!*e->text)
        err_set(e, ERR_CLOSED, "the connection to PostgreSQL was lost");
}

void pg_note_fatal(struct pg *pg, const PGresult *r, const struct err *e)
{
    const char *severity = PQresultErrorField(r, PG_DIAG_SEVERITY_NONLOCALIZED);
    if (severity && strcmp(severity, "FATAL") == 0)
        pg->fatal = *e;
}

void pg_on_notice(void *owner, const PGresult *notice)
{
    struct pg *pg = owner;
    struct err e;
    pg_result_err(&e, pg->conn, notice);
    pg_note_fatal(pg, notice, &e);
    log_debug("notice_received", LOG_STR("peer", PEER_POSTGRES), LOG_STR("sqlstate", e.sqlstate),
              LOG_MSG(e.text));
}
