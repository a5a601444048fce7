/* Turns what libpq and the server report into struct err. */
#include "common/pg/pg_internal.h"

#include "common/log.h"

#include <stdio.h>
#include <string.h>

#define SQLSTATE_READ_ONLY     "25006"
#define SQLSTATE_LACKS_FEATURE "0A000"
#define SQLSTATE_CHECK         "23514"
#define SQLSTATE_TOO_LARGE     "54000" /* such as a key that is longer than an index takes */

void pg_first_line(const char *text, char *out, size_t size)
{
    size_t length = strcspn(text ? text : "", "\r\n");
    (void)snprintf(out, size, "%.*s", (int)length, text ? text : "");
}

static bool has_class(const char *sqlstate, const char *class)
{
    return strncmp(sqlstate, class, strlen(class)) == 0;
}

static bool has_any(const char *sqlstate, const char *const *classes)
{
    while (*classes && !has_class(sqlstate, *classes))
        classes++;
    return *classes != NULL;
}

/* https://www.postgresql.org/docs/17/errcodes-appendix.html: connection exceptions; shutdown,
 * start-up, a database dropped, a session ended for idleness; too many connections; a transaction
 * that was idle or ran too long, which ends its session; and a session that cannot write. */
static const char *const LOSSES[] = {"08", "57P", "53300", "25P03", "25P04", SQLSTATE_READ_ONLY,
                                     NULL};

/* The same pipeline may succeed later: serialization failure and deadlock; disk, memory or another
 * resource exhausted; a lock not available, an object in use; a statement that somebody or a
 * timeout canceled; an error of the system, such as one of its disk. */
static const char *const PASSING[] = {"40", "53", "55P03", "55006", "57014", "58", NULL};

/* "No partition of relation found for row" has the SQLSTATE of a check, but names no constraint. It
 * passes, since partitions are made ahead of time and again. */
static bool lacks_partition(const char *sqlstate, const PGresult *r)
{
    return has_class(sqlstate, SQLSTATE_CHECK) &&
           PQresultErrorField(r, PG_DIAG_CONSTRAINT_NAME) == NULL;
}

bool pg_is_data_fault(const struct err *e)
{
    return e->kind == ERR_REFUSED && !e->retry &&
           (has_class(e->sqlstate, "22") || has_class(e->sqlstate, SQLSTATE_CHECK) ||
            has_class(e->sqlstate, SQLSTATE_TOO_LARGE));
}

/* A standby refuses to begin a read-write transaction with "feature not supported". */
bool pg_is_read_only(const struct err *e, bool is_added)
{
    return has_class(e->sqlstate, SQLSTATE_READ_ONLY) ||
           (is_added && has_class(e->sqlstate, SQLSTATE_LACKS_FEATURE));
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
        set_result_text(e, !sqlstate || has_any(sqlstate, LOSSES) ? ERR_CLOSED : ERR_REFUSED,
                        result);
    else
        set_conn_text(e, conn);
    if (sqlstate && (has_any(sqlstate, PASSING) || lacks_partition(sqlstate, result)))
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
    bool says_so = severity && (!strcmp(severity, "FATAL") || !strcmp(severity, "PANIC"));
    /* pgbouncer says only ERROR before it closes the connection, with the SQLSTATE of a loss. */
    if (says_so || (*e->sqlstate && e->kind == ERR_CLOSED))
        pg->fatal = *e;
}

void pg_on_notice(void *owner, const PGresult *notice)
{
    struct pg *pg = owner;
    struct err e;
    pg_result_err(&e, pg->conn, notice);
    pg_note_fatal(pg, notice, &e);
    log_debug(notice_received, LOG_STR("peer", PEER_POSTGRES), LOG_STR("sqlstate", e.sqlstate),
              LOG_MSG(e.text));
}
