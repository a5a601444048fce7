#include "ctl/restore/restore_adopt.h"

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

static void print_rows(const char *words, const PGresult *rows)
{
    json_t *list = json_array();
    report_add_rows(list, rows);
    for (size_t i = 0; i < json_array_size(list); i++)
        report_print_line(words, json_array_get(list, i));
    json_decref(list);
}

static int run_and_print(PGconn *conn, const char *words, const char *sql, int n,
                         const char *const *values, struct err *e)
{
    PGresult *rows = db_query(conn, sql, n, values, e);
    if (!rows)
        return -1;
    print_rows(words, rows);
    PQclear(rows);
    return 0;
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

static int lock_check(PGconn *conn, const struct restore_claim *claim, const char *tenant,
                      struct err *e)
{
    const char *values[] = {tenant, claim->hold, claim->owner};
    int64_t rows = 0;
    if (db_run(conn, SQL_RESTORE_LOCK_CHECK, 3, values, &rows, e))
        return -1;
    return rows > 0
               ? 0
               : err_set(e, ERR_FENCED,
                         "another `restore accept` goes on with it, or more was lost meanwhile");
}

/* run_id NULL: release, else adopt. */
static int change(PGconn *conn, const struct restore_claim *claim, const char *tenant,
                  const char *run_id, struct err *e)
{
    struct err ignored;
    if (db_script(conn, "BEGIN", e))
        return -1;
    if (lock_check(conn, claim, tenant, e) == 0 &&
        (run_id ? adopt_all(conn, run_id, e)
                : db_run(conn, SQL_RESTORE_RELEASE, 1, &tenant, NULL, e)) == 0)
        return db_script(conn, "COMMIT", e);
    db_script(conn, "ROLLBACK", &ignored);
    return -1;
}

int restore_adopt(PGconn *conn, const struct restore_claim *claim, const char *tenant,
                  int64_t run_id, struct err *e)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, run_id);
    return change(conn, claim, tenant, text, e);
}

int restore_release(PGconn *conn, const struct restore_claim *claim, const char *tenant,
                    struct err *e)
{
    return change(conn, claim, tenant, NULL, e);
}
