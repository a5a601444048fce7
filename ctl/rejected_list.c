/* meterctl rejected list and show: what was not counted, and why. */
#include "common/contract.h"
#include "common/str.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/rejected.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/table.h"

#include <stdio.h>
#include <string.h>

enum { LIST_DEFAULT = 50, LIST_MAX = 100000 };

static const char *const REASONS[] = {
    REASON_MISSING_FIELD,      REASON_BAD_FIELD,     REASON_UNKNOWN_METRIC,
    REASON_BAD_QUANTITY,       REASON_BAD_TIMESTAMP, REASON_TOO_OLD,
    REASON_IN_FUTURE,          REASON_TOO_LARGE,     REASON_WRONG_SHARD,
    REASON_UNKNOWN_RETRACTION, REASON_REFUSED,       REASON_CONFLICT};

enum { REASON_COUNT = sizeof REASONS / sizeof REASONS[0] };

int rejected_check_reason(const struct rejected_filter *f)
{
    struct buf list = {0};

    for (int i = 0; i < REASON_COUNT; i++) {
        if (!f->reason || strcmp(f->reason, REASONS[i]) == 0) {
            buf_done(&list);
            return 0;
        }
        buf_printf(&list, "%s%s", i == 0 ? "" : ", ", REASONS[i]);
    }
    ctl_fail(-1, "no such reason: %s (one of: %s)", f->reason, list.data);
    buf_done(&list);
    return -1;
}

int rejected_check_id(const char *text)
{
    int64_t id;

    if (str_to_i64(text, strlen(text), &id) || id < 1)
        return ctl_fail(-1, "not the id of a rejected entry: %s (see meterctl rejected list)",
                        text);
    return 0;
}

/* The fields as JSON, for programs; a table has no room for them. */
static void unfold_fields(json_t *rows, bool json)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        json_t *fields =
            json ? json_loads(json_string_value(json_object_get(row, "fields")), 0, NULL) : NULL;
        json_object_del(row, "fields");
        if (fields)
            json_object_set_new(row, "fields", fields);
    }
}

static json_t *read_rows(PGconn *conn, const char *const values[5], struct err *e)
{
    PGresult *r = db_query(conn, SQL_LIST_REJECTED, 5, values, e);
    if (!r)
        return NULL;
    json_t *rows = json_array();
    report_add_rows(rows, r);
    PQclear(r);
    return rows;
}

static int list_rows(PGconn *conn, struct rejected_filter *f, const char *limit, bool json)
{
    struct err e;
    int code = args_time(conn, "--since", f->since, f->since_at);

    if (code != CTL_DONE)
        return code;
    const char *values[] = {f->tenant, f->reason, args_or_null(f->since_at), limit, NULL};
    json_t *rows = read_rows(conn, values, &e);
    if (!rows)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    unfold_fields(rows, json);
    if (json)
        report_print_json(rows);
    else if (json_array_size(rows) == 0)
        puts("nothing was rejected");
    else
        table_print("rejected, the newest first", rows);
    json_decref(rows);
    return CTL_DONE;
}

int rejected_list_run(const struct ctl_config *config, int argc, char **argv)
{
    struct rejected_filter f = {0};
    const char *limit = NULL;
    bool json = false;
    const struct args_option options[] = {REJECTED_FILTER_OPTIONS(f),
                                          {"--limit", &limit, NULL},
                                          {"--json", NULL, &json},
                                          {NULL, NULL, NULL}};
    int64_t rows = LIST_DEFAULT;
    char number[24];
    struct err e;
    int plain = args_take(argc, argv, options);

    if (plain < 0 || args_expect_none(plain, argv) || rejected_check_reason(&f) ||
        args_whole("--limit", limit, 1, LIST_MAX, &rows))
        return CTL_USAGE;
    snprintf(number, sizeof number, "%lld", (long long)rows);
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int code = conn ? list_rows(conn, &f, number, json) : ctl_fail(CTL_FAILED, "%s", e.text);
    PQfinish(conn);
    return code;
}

static int show_row(PGconn *conn, const char *id, bool json)
{
    const char *values[] = {NULL, NULL, NULL, "1", id};
    struct err e;
    json_t *rows = read_rows(conn, values, &e);

    if (!rows)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    int code = CTL_DONE;
    unfold_fields(rows, true);
    if (json_array_size(rows) == 0)
        code = ctl_fail(CTL_FAILED, "there is no rejected entry %s", id);
    else
        (json ? report_print_json : report_print_entry)(json_array_get(rows, 0));
    json_decref(rows);
    return code;
}

int rejected_show_run(const struct ctl_config *config, int argc, char **argv)
{
    bool json = false;
    const struct args_option options[] = {{"--json", NULL, &json}, {NULL, NULL, NULL}};
    struct err e;
    int plain = args_take(argc, argv, options);

    if (plain < 0)
        return CTL_USAGE;
    if (plain != 1)
        return ctl_fail(CTL_USAGE, "usage: meterctl rejected show ID [--json]");
    if (rejected_check_id(argv[0]))
        return CTL_USAGE;
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int code = conn ? show_row(conn, argv[0], json) : ctl_fail(CTL_FAILED, "%s", e.text);
    PQfinish(conn);
    return code;
}
