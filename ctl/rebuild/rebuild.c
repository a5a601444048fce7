/* meterctl rebuild.
 *
 * --check: minute rows and totals once more from the raw events, compared bit for bit. Exit 0 all
 * the same, 1 differences, 3 could not be checked. One snapshot, so that aggregators may go on. Day
 * by day, what a day's events add up to is compared with its minute rows and added to the billing
 * periods they lie in; those are compared last. Of days that cannot be checked, but lie in a period
 * that is, what is stored is taken.
 *
 * --repair: totals of metrics that carry their last value over, set right by the minutes.
 * Aggregators may run: for a hundred tenants and metrics at a time nobody adds to totals. Without
 * --yes each of these transactions is rolled back, and its rows tell what it would do. */
#include "common/sql.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/names.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 100, PAGE = 100 };

struct options {
    const char *tenant;
    const char *from;
    const char *to;
    const char *metric;
    bool check;
    bool repair;
    bool yes;
    bool json;
};

struct rebuild {
    PGconn *conn;
    const char *tenant; /* NULL: all */
    const char *from;   /* a time; NULL: from the beginning */
    const char *to;     /* a time; NULL: to the end */
    json_t *pending;    /* batches that wait to be folded, by stream */
    json_t *shown;      /* the first hundred differences */

    PGresult *range;  /* owned */
    const char *low;  /* in range: what was checked, from … */
    const char *high; /* … until before; NULL where there is no usage at all */
    const char
        *unchecked;      /* in range: nothing before this time, its raw events were dropped; NULL */
    bool any;            /* there was something to check */
    int64_t minutes;     /* minute rows recomputed */
    int64_t differences; /* of minutes, totals and unique values */
};

static const char SETTINGS[] = "set local work_mem = '64MB'; set local jit = off";

/* The planner does not know how many events unnest makes, and would sort them, or worse. */
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

/* Run a comparison: the first hundred differences of all are kept, all are counted. */
static int compare(struct rebuild *r, const char *sql, int n, const char *const *values,
                   struct err *e)
{
    json_t *found = json_array();
    int failed = report_query(found, r->conn, sql, n, values, e);
    r->differences += json_integer_value(json_object_get(json_array_get(found, 0), "of_all"));
    for (size_t i = 0; i < json_array_size(found); i++) {
        json_t *finding = json_array_get(found, i);
        json_object_del(finding, "of_all");
        if (json_array_size(r->shown) < SHOWN_MAX)
            json_array_append(r->shown, finding);
    }
    json_decref(found);
    return failed;
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

/* One day, or the part of it that lies within the range. */
static int add_piece(struct rebuild *r, const PGresult *pieces, int row, struct err *e)
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
        result = add_piece(r, pieces, i, e);
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

static int check_all(struct rebuild *r, struct err *e)
{
    if (begin(r, e) || find_range(r, e) ||
        report_query(r->pending, r->conn, SQL_REBUILD_FIND_PENDING, 0, NULL, e))
        return -1;
    if (r->any && (check_days(r, e) || check_periods(r, e)))
        return -1;
    return db_script(r->conn, "rollback", e);
}
static void print_lines(const struct rebuild *r)
{
    char low[REPORT_TIME_SIZE], high[REPORT_TIME_SIZE], unchecked[REPORT_TIME_SIZE];
    report_print_lines("rebuild pending", r->pending);
    if (r->unchecked)
        printf("rebuild unchecked before=%s msg=\"retention dropped the raw events before it\"\n",
               report_time(r->unchecked, unchecked));
    report_print_lines("rebuild difference", r->shown);
    if (r->any)
        printf("rebuild from=%s to=%s minutes=%" PRId64 " differences=%" PRId64 "\n",
               report_time(r->low, low), report_time(r->high, high), r->minutes, r->differences);
    puts(r->differences == 0 ? "rebuild ok" : "rebuild differs");
}

static const char *time_or_null(const char *text, char out[REPORT_TIME_SIZE])
{
    return text ? report_time(text, out) : NULL;
}

static void print_json(const struct rebuild *r)
{
    char low[REPORT_TIME_SIZE], high[REPORT_TIME_SIZE], unchecked[REPORT_TIME_SIZE];
    json_t *report =
        json_pack("{s:s*, s:s*, s:s*, s:I, s:I, s:O, s:O, s:s}", "from", time_or_null(r->low, low),
                  "to", time_or_null(r->high, high), "unchecked_before",
                  time_or_null(r->unchecked, unchecked), "minutes", (json_int_t)r->minutes,
                  "difference_count", (json_int_t)r->differences, "pending", r->pending,
                  "differences", r->shown, "result", r->differences == 0 ? "ok" : "differs");
    report_print_json(report);
    json_decref(report);
}

static int tell(const struct rebuild *r, const struct options *o)
{
    char unchecked[REPORT_TIME_SIZE];
    if (!r->any && r->unchecked)
        return ctl_fail(CTL_UNCHECKED,
                        "could not be checked: retention dropped the raw events before %s",
                        report_time(r->unchecked, unchecked));
    (o->json ? print_json : print_lines)(r);
    return r->differences == 0 ? CTL_DONE : CTL_FAILED;
}

static int check(PGconn *conn, const struct options *o)
{
    char from[TIME_TEXT_SIZE], to[TIME_TEXT_SIZE];
    struct err e;
    int code = args_time(conn, "--from", o->from, from);
    if (code == CTL_DONE)
        code = args_time(conn, "--to", o->to, to);
    if (code != CTL_DONE)
        return code == CTL_USAGE ? code : CTL_UNCHECKED;
    code = names_check(conn, o->tenant, NULL, CTL_UNCHECKED);
    if (code != CTL_DONE)
        return code;
    struct rebuild r = {.conn = conn,
                        .tenant = o->tenant,
                        .from = args_or_null(from),
                        .to = args_or_null(to),
                        .pending = json_array(),
                        .shown = json_array()};
    code = check_all(&r, &e) ? ctl_fail(CTL_UNCHECKED, "could not be checked: postgres: %s", e.text)
                             : tell(&r, o);
    PQclear(r.range);
    json_decref(r.pending);
    json_decref(r.shown);
    return code;
}

/* --repair. */

struct repair {
    PGconn *conn;
    bool yes;        /* else only say what would be done */
    json_t *changed; /* totals, as they were and are */
};

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

/* Without --yes it is rolled back. */
static int repair_page(const struct repair *r, const char *page, struct err *e)
{
    struct err ignored;
    if (db_script(r->conn, "BEGIN", e))
        return -1;
    if (db_run(r->conn, SQL_REBUILD_HOLD_TOTALS, 0, NULL, NULL, e) == 0 &&
        report_query(r->changed, r->conn, SQL_REBUILD_REPAIR_CARRIED, 1, &page, e) == 0)
        return db_script(r->conn, r->yes ? "COMMIT" : "ROLLBACK", e);
    db_script(r->conn, "ROLLBACK", &ignored);
    return -1;
}

static int repair_all(const struct repair *r, const struct options *o, struct err *e)
{
    const char *values[] = {o->tenant, o->metric};
    PGresult *keys = db_query(r->conn, SQL_REBUILD_LIST_CARRIED, 2, values, e);
    int result = keys ? 0 : -1;
    for (int first = 0; result == 0 && first < PQntuples(keys); first += PAGE) {
        char *page = page_of(keys, first);
        result = repair_page(r, page, e);
        free(page);
    }
    PQclear(keys);
    return result;
}

static void print_repair(const struct repair *r)
{
    report_print_lines("rebuild repair", r->changed);
    printf(r->yes ? "repaired %zu totals: the sink claims what they differ by\n"
                  : "%zu totals are to be repaired\n",
           json_array_size(r->changed));
}

static void print_repair_json(const struct repair *r)
{
    json_t *report = json_pack("{s:O, s:b}", "totals", r->changed, "done", r->yes);
    report_print_json(report);
    json_decref(report);
}

/* What was committed before it failed is told all the same. */
static int repair(PGconn *conn, const struct options *o)
{
    struct repair r = {.conn = conn, .yes = o->yes};
    struct err e;
    int code = names_check(conn, o->tenant, o->metric, CTL_FAILED);
    if (code != CTL_DONE)
        return code;
    r.changed = json_array();
    int failed = repair_all(&r, o, &e);
    (o->json ? print_repair_json : print_repair)(&r);
    bool left = json_array_size(r.changed) > 0 && !r.yes;
    json_decref(r.changed);
    if (failed)
        return ctl_fail(CTL_FAILED, "postgres: %s", e.text);
    return left
               ? ctl_fail(CTL_FAILED, "nothing was changed: run it again with --yes to repair them")
               : CTL_DONE;
}

static int check_options(const struct options *o)
{
    if (o->check == o->repair)
        return ctl_fail(-1, "either --check, which only compares, or --repair is required");
    if (o->check && (o->metric || o->yes))
        return ctl_fail(-1, "--metric and --yes can only be used with --repair");
    if (o->repair && (o->from || o->to))
        return ctl_fail(-1, "--from and --to can only be used with --check: --repair always goes "
                            "from the first usage until now");
    return 0;
}

static int run(PGconn *conn, void *owner)
{
    const struct options *o = owner;
    return (o->check ? check : repair)(conn, o);
}

int rebuild_run(const struct ctl_config *config, int argc, char **argv)
{
    struct options o = {0};
    const struct args_option options[] = {
        {"--tenant", &o.tenant, NULL}, {"--from", &o.from, NULL},     {"--to", &o.to, NULL},
        {"--check", NULL, &o.check},   {"--json", NULL, &o.json},     {"--repair", NULL, &o.repair},
        {"--yes", NULL, &o.yes},       {"--metric", &o.metric, NULL}, {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options) || check_options(&o))
        return CTL_USAGE;
    return ctl_with_database(config, o.check ? CTL_UNCHECKED : CTL_FAILED, run, &o);
}
