/* meterctl rebuild --check: minute rows and totals once more from the raw events, compared bit for
 * bit. Exit 0 all the same, 1 differences, 3 could not be checked.
 *
 * One snapshot, so that aggregators may go on. Day by day: what a day's events add up to is
 * compared with its minute rows and added to the billing periods they lie in; those are compared
 * last. Days that cannot be checked, but lie in a period that is, give what is stored. */
#include "ctl/rebuild/rebuild.h"

#include "common/sql.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <stdio.h>
#include <string.h>

enum { SHOWN_MAX = 100 };

static const char SETTINGS[] = "set local work_mem = '64MB'; set local jit = off";

/* The planner has no idea how many events unnest makes: by itself it sorts them, or worse. */
static const char BY_HASH[] = "set local enable_sort = off; set local enable_nestloop = off";
static const char AS_IT_LIKES[] = "set local enable_sort = on; set local enable_nestloop = on";

static const char *const PREPARE[] = {SQL_REBUILD_CREATE_KEYS, SQL_REBUILD_CREATE_MINUTES,
                                      SQL_REBUILD_CREATE_PARTS};

static int begin(struct rebuild *r, struct err *e)
{
    if (db_begin_snapshot(r->conn, e) || db_script(r->conn, SETTINGS, e))
        return -1;
    for (size_t i = 0; i < sizeof PREPARE / sizeof PREPARE[0]; i++)
        if (db_script(r->conn, PREPARE[i], e))
            return -1;
    if (db_run(r->conn, SQL_REBUILD_FIND_KEYS, 1, &r->tenant, NULL, e))
        return -1;
    return db_script(r->conn, "analyze rebuild_keys", e);
}

static int find_range(struct rebuild *r, struct err *e)
{
    const char *values[] = {r->tenant, r->from, r->to};

    r->range = db_query(r->conn, SQL_REBUILD_FIND_RANGE, 3, values, e);
    if (!r->range)
        return -1;
    r->low = db_text(r->range, 0, 0);
    r->high = db_text(r->range, 0, 1);
    r->unchecked = db_text(r->range, 0, 2);
    const char *any = db_text(r->range, 0, 3);
    r->any = any && strcmp(any, "t") == 0;
    return 0;
}

/* The rows of a comparison: the first hundred of all are kept, all are counted. */
static int compare(struct rebuild *r, const char *sql, int n, const char *const *values,
                   struct err *e)
{
    PGresult *rows = db_query(r->conn, sql, n, values, e);
    json_t *found = json_array();

    if (!rows) {
        json_decref(found);
        return -1;
    }
    if (PQntuples(rows) > 0)
        r->differences += db_i64(rows, 0, 0);
    report_add_rows(found, rows);
    PQclear(rows);
    for (size_t i = 0; i < json_array_size(found); i++) {
        json_t *finding = json_array_get(found, i);
        json_object_del(finding, "of_all");
        if (json_array_size(r->shown) < SHOWN_MAX)
            json_array_append(r->shown, finding);
    }
    json_decref(found);
    return 0;
}

/* edges: from, until before, and the first day of a commit that matters. */
static int check_piece(struct rebuild *r, const char *const edges[3], struct err *e)
{
    const char *values[] = {r->tenant, edges[0], edges[1], edges[2]};
    int64_t minutes = 0;

    if (db_script(r->conn, BY_HASH, e) ||
        db_run(r->conn, SQL_REBUILD_COUNT_RAW, 4, values, &minutes, e) ||
        db_script(r->conn, AS_IT_LIKES, e))
        return -1;
    r->minutes += minutes;
    if (db_script(r->conn, "analyze rebuild_minutes", e))
        return -1;
    return compare(r, SQL_REBUILD_COMPARE_MINUTES, 2, edges, e);
}

/* One day, or what of it lies on one side of an edge of the range. */
static int take_piece(struct rebuild *r, const PGresult *pieces, int row, struct err *e)
{
    const char *edges[] = {db_text(pieces, row, 0), db_text(pieces, row, 1),
                           db_text(pieces, row, 3)};
    bool checked = strcmp(db_text(pieces, row, 2), "t") == 0;

    if (db_script(r->conn, "truncate rebuild_minutes", e))
        return -1;
    int failed = checked ? check_piece(r, edges, e)
                         : db_run(r->conn, SQL_REBUILD_TAKE_STORED, 2, edges, NULL, e);
    return failed ? -1 : db_run(r->conn, SQL_REBUILD_ADD_PARTS, 2, edges, NULL, e);
}

static int check_days(struct rebuild *r, struct err *e)
{
    const char *values[] = {db_text(r->range, 0, 4), db_text(r->range, 0, 5), r->low, r->high};
    PGresult *pieces = db_query(r->conn, SQL_REBUILD_FIND_PIECES, 4, values, e);
    int result = pieces ? 0 : -1;

    for (int i = 0; result == 0 && i < PQntuples(pieces); i++)
        result = take_piece(r, pieces, i, e);
    PQclear(pieces);
    return result;
}

static int check_periods(struct rebuild *r, struct err *e)
{
    const char *values[] = {r->tenant, r->low, r->high, db_text(r->range, 0, 4)};

    if (db_script(r->conn, "analyze rebuild_parts", e) ||
        compare(r, SQL_REBUILD_COMPARE_TOTALS, 4, values, e))
        return -1;
    return compare(r, SQL_REBUILD_COMPARE_UNIQUES, 3, values, e);
}

static int find_pending(struct rebuild *r, struct err *e)
{
    PGresult *rows = db_query(r->conn, SQL_REBUILD_FIND_PENDING, 0, NULL, e);

    if (!rows)
        return -1;
    report_add_rows(r->pending, rows);
    PQclear(rows);
    return 0;
}

int rebuild_check(struct rebuild *r, struct err *e)
{
    if (begin(r, e) || find_range(r, e) || find_pending(r, e))
        return -1;
    if (r->any && (check_days(r, e) || check_periods(r, e)))
        return -1;
    return db_script(r->conn, "rollback", e);
}
