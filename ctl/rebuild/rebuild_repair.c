/* meterctl rebuild --repair: totals of metrics that carry their last value over, set right by the
 * minutes. Aggregators may run: for a hundred tenants and metrics at a time nobody adds to totals.
 * Without --yes each of these transactions is rolled back, and its rows tell what it would do. */
#include "ctl/ctl.h"
#include "ctl/rebuild/rebuild.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { PAGE = 100 };

/* Returns a JSON array of so many keys from the first on; the caller's to free. */
static char *page_of(const PGresult *keys, int first)
{
    json_t *page = json_array();

    for (int i = first; i < first + PAGE && i < PQntuples(keys); i++)
        json_array_append_new(page, json_pack("[s, s]", db_text(keys, i, 0), db_text(keys, i, 1)));
    char *text = json_dumps(page, JSON_COMPACT);
    json_decref(page);
    return text;
}

static PGresult *run_page(const struct rebuild_repair *r, const char *page, struct err *e)
{
    struct err ignored;
    PGresult *rows = NULL;

    if (db_script(r->conn, "begin", e) == 0 &&
        db_run(r->conn, SQL_REBUILD_HOLD_TOTALS, 0, NULL, NULL, e) == 0)
        rows = db_query(r->conn, SQL_REBUILD_REPAIR_CARRIED, 1, &page, e);
    if (rows && db_script(r->conn, r->yes ? "commit" : "rollback", e) == 0)
        return rows;
    PQclear(rows);
    if (PQtransactionStatus(r->conn) != PQTRANS_IDLE)
        db_script(r->conn, "rollback", &ignored);
    return NULL;
}

static int repair_page(const struct rebuild_repair *r, const PGresult *keys, int first,
                       struct err *e)
{
    char *page = page_of(keys, first);
    PGresult *rows = run_page(r, page, e);

    free(page);
    if (!rows)
        return -1;
    report_add_rows(r->changed, rows);
    PQclear(rows);
    return 0;
}

int rebuild_repair(const struct rebuild_repair *r, struct err *e)
{
    const char *values[] = {r->tenant, r->metric};
    PGresult *keys = db_query(r->conn, SQL_REBUILD_LIST_CARRIED, 2, values, e);
    int result = keys ? 0 : -1;

    for (int first = 0; result == 0 && first < PQntuples(keys); first += PAGE)
        result = repair_page(r, keys, first, e);
    PQclear(keys);
    return result;
}

static void print_lines(const struct rebuild_repair *r)
{
    size_t n = json_array_size(r->changed);

    for (size_t i = 0; i < n; i++)
        report_print_line("rebuild repair", json_array_get(r->changed, i));
    printf(r->yes ? "repaired %zu totals: the sink claims what they differ by\n"
                  : "%zu totals are to be repaired\n",
           n);
}

static void print_json(const struct rebuild_repair *r)
{
    json_t *report = json_pack("{s:O, s:b}", "totals", r->changed, "done", r->yes);

    report_print_json(report);
    json_decref(report);
}

int rebuild_repair_run(struct rebuild_repair *r, bool json)
{
    struct err e;

    r->changed = json_array();
    int failed = rebuild_repair(r, &e);
    /* What was committed before it failed is told all the same. */
    (json ? print_json : print_lines)(r);
    bool left = json_array_size(r->changed) > 0 && !r->yes;
    json_decref(r->changed);
    if (failed)
        return ctl_fail(CTL_FAILED, "postgres: %s", e.text);
    return left ? ctl_fail(CTL_FAILED, "nothing was changed: say --yes") : CTL_DONE;
}
