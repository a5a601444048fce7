/* The happy path:
 *
 * 1. What the ledger takes for unsent: Stripe holds it: sent.
 * 2. All places compared, by what is surely sent alone.
 * 3. In one transaction, in which nobody claims or picks: sent ones that Stripe lacks wait for a
 *    person; what it holds besides is adopted, and the claims are summed up again.
 * 4. All places compared once more: nothing may differ.
 *
 * Cut off anywhere it may be run again: what was adopted is ours then. */
#include "ctl/restore_adopt.h"

#include "common/sql.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/stripe_run.h"

#include <inttypes.h>
#include <limits.h>
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

static int adopt(PGconn *conn, int64_t run, struct err *e)
{
    char run_id[24];
    struct err ignored;
    snprintf(run_id, sizeof run_id, "%" PRId64, run);
    if (db_script(conn, "BEGIN", e))
        return -1;
    if (adopt_all(conn, run_id, e) == 0)
        return db_script(conn, "COMMIT", e);
    db_script(conn, "ROLLBACK", &ignored);
    return -1;
}

static int fail_unread(int64_t unread)
{
    return ctl_fail(CTL_UNCHECKED,
                    "Stripe does not tell of %" PRId64 " of them: sinks are still held", unread);
}

static int compare(const struct ctl_config *config, struct reconcile_report *report)
{
    struct err e;
    const struct reconcile_ask ask = {
        .reason = "restore", .everything = true, .sent_alone = true, .most = INT_MAX};
    if (stripe_run_compare(config, &ask, report, &e))
        return ctl_fail(CTL_UNCHECKED, "%s: sinks are still held", e.text);
    printf("reconcile compared=%" PRId64 " drifted=%" PRId64 " unread=%" PRId64 "\n",
           report->compared, report->drifted, report->unread);
    return report->unread > 0 ? fail_unread(report->unread) : CTL_DONE;
}

static int settle_open(const struct ctl_config *config)
{
    struct err e;
    struct doubts_report report;
    if (stripe_run_doubts(config, true, &report, &e))
        return ctl_fail(CTL_UNCHECKED, "%s: sinks are still held", e.text);
    printf("open sent=%" PRId64 " waiting=%" PRId64 " failed=%" PRId64 "\n", report.sent,
           report.left, report.failed);
    return report.unread > 0 ? fail_unread(report.unread) : CTL_DONE;
}

int restore_adopt(const struct ctl_config *config, PGconn *conn)
{
    struct err e;
    struct reconcile_report report = {0};
    int code = settle_open(config);
    if (code == CTL_DONE)
        code = compare(config, &report);
    if (code != CTL_DONE || report.drifted == 0)
        return code;
    if (adopt(conn, report.run_id, &e))
        return ctl_fail(CTL_FAILED, "%s: sinks are still held", e.text);
    code = compare(config, &report);
    if (code == CTL_DONE && report.drifted > 0)
        code =
            ctl_fail(CTL_FAILED, "Stripe still differs (`meterctl reconcile` shows where): sinks "
                                 "are still held");
    return code;
}
