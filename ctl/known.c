#include "ctl/known.h"

#include "common/str.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/near.h"
#include "ctl/sql.h"

#include <string.h>

static int fail_unknown(const char *kind, const char *name, const PGresult *names,
                        const char *otherwise)
{
    struct near near = {0};
    struct buf hint = {0};

    for (int i = 0; i < PQntuples(names); i++)
        near_add(&near, name, db_text(names, i, 0));
    for (int i = 0; i < near.count; i++)
        buf_printf(&hint, "%s%s",
                   i == 0                ? "; did you mean "
                   : i == near.count - 1 ? " or "
                                         : ", ",
                   near.names[i]);
    if (near.count == 0)
        buf_printf(&hint, " (%s)", otherwise);
    else
        buf_add_char(&hint, '?');
    ctl_fail(CTL_FAILED, "no such %s: %s%s", kind, name, hint.data);
    buf_done(&hint);
    return CTL_FAILED;
}

/* -1 with e: it could not be looked up. */
static int check_tenant(PGconn *conn, const char *tenant, struct err *e)
{
    PGresult *found = db_query(conn, SQL_FIND_TENANT, 1, &tenant, e);

    if (!found)
        return -1;
    bool known = *db_text(found, 0, 0) == 't';
    PQclear(found);
    if (known)
        return CTL_DONE;
    PGresult *names = db_query(conn, SQL_LIST_NEAR_TENANTS, 1, &tenant, e);
    if (!names)
        return -1;
    int code = fail_unknown("tenant", tenant, names,
                            "nothing was ever counted, rejected or billed under that name");
    PQclear(names);
    return code;
}

static bool is_among(const PGresult *names, const char *name)
{
    for (int i = 0; i < PQntuples(names); i++)
        if (strcmp(db_text(names, i, 0), name) == 0)
            return true;
    return false;
}

static int check_metric(PGconn *conn, const char *metric, struct err *e)
{
    PGresult *names = db_query(conn, SQL_LIST_METRICS, 0, NULL, e);

    if (!names)
        return -1;
    int code = is_among(names, metric)
                   ? CTL_DONE
                   : fail_unknown("metric", metric, names, "see `meterctl catalog show`");
    PQclear(names);
    return code;
}

int known_check(PGconn *conn, const char *tenant, const char *metric, int unread)
{
    struct err e;
    int of_tenant = tenant ? check_tenant(conn, tenant, &e) : CTL_DONE;
    int of_metric = metric && of_tenant >= 0 ? check_metric(conn, metric, &e) : CTL_DONE;

    if (of_tenant < 0 || of_metric < 0)
        return ctl_fail(unread, "%s%s", unread == CTL_UNCHECKED ? "could not be checked: " : "",
                        e.text);
    return of_tenant != CTL_DONE ? of_tenant : of_metric;
}
