#include "ctl/restore/restore_checks.h"

#include "common/sql.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <inttypes.h>
#include <stdio.h>

/* Columns of restore_list_found.sql. */
enum {
    TENANT,
    METRIC,
    TRANSPORT,
    CUSTOMER,
    EVENT_NAME,
    ITEM,
    PERIOD_START,
    PERIOD_END,
    MINUTE,
    QUANTITY,
    FOUND_COLUMNS
};

/* The list of tenants, in one transaction with the new era that their next claims are made in. */
static int list_all(PGconn *conn, void *owner, struct err *e)
{
    struct restore_list *list = owner;
    const char *values[] = {list->claim.hold, list->claim.owner};
    if (db_run(conn, SQL_RESTORE_FORGET_CHECKS, 1, values, NULL, e))
        return -1;
    PGresult *known = db_query(conn, SQL_RESTORE_COUNT_CHECKS, 1, values, e);
    if (!known)
        return -1;
    bool first = db_i64(known, 0, 0) == 0;
    list->done = db_i64(known, 0, 1);
    PQclear(known);
    if ((first && db_run(conn, SQL_RESTORE_NEW_ERA, 0, NULL, NULL, e)) ||
        db_run(conn, SQL_RESTORE_ADD_CHECKS, 2, values, NULL, e))
        return -1;
    list->tenants = db_query(conn, SQL_RESTORE_TAKE_CHECKS, 2, values, e);
    return list->tenants ? 0 : -1;
}

int restore_begin(PGconn *conn, struct restore_list *list, struct err *e)
{
    list->tenants = NULL;
    if (db_transaction(conn, list_all, list, e) == 0)
        return 0;
    PQclear(list->tenants);
    return -1;
}

static int run_and_print(PGconn *conn, const char *words, const char *sql, int n,
                         const char *const *values, struct err *e)
{
    json_t *rows = json_array();
    int failed = report_query(rows, conn, sql, n, values, e);
    report_print_lines(words, rows);
    json_decref(rows);
    return failed;
}

static int adopt_one(PGconn *conn, const PGresult *found, int row, struct err *e)
{
    const char *values[FOUND_COLUMNS];
    for (int i = 0; i < FOUND_COLUMNS; i++)
        values[i] = db_text(found, row, i);
    const char *period[] = {values[TENANT], values[METRIC], values[PERIOD_START],
                            values[PERIOD_END]};
    if (run_and_print(conn, "adopted", SQL_RESTORE_ADOPT, FOUND_COLUMNS, values, e) ||
        db_run(conn, SQL_RESTORE_SUM_CLAIM, 4, period, NULL, e))
        return -1;
    return db_run(conn, SQL_RESTORE_ADD_TOTAL, 4, period, NULL, e);
}

static int adopt_all(PGconn *conn, const char *run_id, struct err *e)
{
    if (db_run(conn, SQL_RECONCILE_LOCK, 0, NULL, NULL, e) ||
        run_and_print(conn, "missing", SQL_RESTORE_FAIL_MISSING, 1, &run_id, e))
        return -1;
    PGresult *found = db_query(conn, SQL_RESTORE_LIST_FOUND, 1, &run_id, e);
    int result = found ? 0 : -1;
    for (int i = 0; result == 0 && i < PQntuples(found); i++)
        result = adopt_one(conn, found, i, e);
    PQclear(found);
    return result;
}

struct change {
    const struct restore_claim *claim;
    const char *tenant;
    const char *run_id; /* NULL: release, else adopt */
};

static int change(PGconn *conn, void *owner, struct err *e)
{
    const struct change *c = owner;
    const char *values[] = {c->tenant, c->claim->hold, c->claim->owner};
    int64_t rows = 0;
    if (db_run(conn, SQL_RESTORE_LOCK_CHECK, 3, values, &rows, e))
        return -1;
    if (rows == 0)
        return err_set(e, ERR_FENCED,
                       "another `restore accept` has taken over, or more was lost meanwhile");
    return c->run_id ? adopt_all(conn, c->run_id, e)
                     : db_run(conn, SQL_RESTORE_RELEASE, 1, &c->tenant, NULL, e);
}

int restore_adopt(PGconn *conn, const struct restore_claim *claim, const char *tenant,
                  int64_t run_id, struct err *e)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, run_id);
    return db_transaction(conn, change, &(struct change){claim, tenant, text}, e);
}

int restore_release(PGconn *conn, const struct restore_claim *claim, const char *tenant,
                    struct err *e)
{
    return db_transaction(conn, change, &(struct change){claim, tenant, NULL}, e);
}
