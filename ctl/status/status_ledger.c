/* What PostgreSQL tells of the line. */
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/status/child.h"
#include "ctl/status/status.h"

enum { STATEMENT_TIMEOUT_MS = 5000 };

/* In the order in which they are read: what takes long comes last, and may not come in time. */
static const struct part {
    const char *list; /* of the report */
    const char *sql;
} PARTS[] = {
    {"positions", SQL_STATUS_POSITIONS}, {"ledger", SQL_STATUS_LEDGER},
    {"instances", SQL_STATUS_INSTANCES}, {"stages", SQL_STATUS_SINK},
    {"stages", SQL_STATUS_WEBHOOKD},     {"quotas", SQL_STATUS_QUOTAS},
    {"rejected", SQL_STATUS_REJECTED},   {"submissions", SQL_STATUS_SUBMISSIONS},
    {"webhooks", SQL_STATUS_WEBHOOKS},   {"meters", SQL_STATUS_METERS},
    {"unbilled", SQL_STATUS_UNBILLED},
};

json_t *status_peer(const char *peer, const struct err *e)
{
    if (!e)
        return json_pack("{s:s, s:s}", "peer", peer, "state", "up");
    json_t *row =
        json_pack("{s:s, s:s}", "peer", peer, "state", e->kind == ERR_REFUSED ? "failed" : "down");
    /* A text that was cut within a character is no JSON. */
    if (json_object_set_new(row, "error", json_string(e->text)))
        json_object_set_new(row, "error", json_string(err_kind_text(e->kind)));
    return row;
}

static int tell_part(PGconn *conn, const struct part *part, int fd, struct err *e)
{
    PGresult *result = db_query(conn, part->sql, 0, NULL, e);
    json_t *rows = json_array();

    if (result)
        report_add_rows(rows, result);
    child_tell(fd, json_pack("{s:s, s:o}", "list", part->list, "rows", rows));
    PQclear(result);
    return result ? 0 : -1;
}

/* What cannot be read, such as a table of a newer schema, does not keep the rest from being read.
 */
static int tell_parts(PGconn *conn, int fd, struct err *first)
{
    struct err e;
    int failed = 0;

    for (size_t i = 0; i < sizeof PARTS / sizeof PARTS[0]; i++) {
        if (tell_part(conn, &PARTS[i], fd, &e) == 0)
            continue;
        if (!failed)
            *first = e;
        failed = -1;
        if (PQstatus(conn) != CONNECTION_OK)
            break;
    }
    return failed;
}

void status_read_ledger(void *owner, int fd)
{
    const struct ctl_config *config = owner;
    struct err e = {0};

    db_set_timeout(STATEMENT_TIMEOUT_MS);
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int failed = conn ? tell_parts(conn, fd, &e) : -1;
    child_tell(fd, status_peer("postgres", failed ? &e : NULL));
    PQfinish(conn);
}
