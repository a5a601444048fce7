/* meterctl rejected list and show: what was not counted, and why. */
#include "common/contract.h"
#include "common/str.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/names.h"
#include "ctl/rejected/rejected.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/terminal/table.h"

#include <stdio.h>
#include <string.h>

#define LIST_DEFAULT "50"

enum { LIST_MAX = 100000 };

static const char *const REASONS[] = {
    REASON_MISSING_FIELD,      REASON_BAD_FIELD,     REASON_UNKNOWN_METRIC,
    REASON_BAD_QUANTITY,       REASON_BAD_TIMESTAMP, REASON_TOO_OLD,
    REASON_IN_FUTURE,          REASON_TOO_LARGE,     REASON_WRONG_SHARD,
    REASON_UNKNOWN_RETRACTION, REASON_REFUSED,       REASON_CONFLICT};

enum { REASON_COUNT = sizeof REASONS / sizeof REASONS[0] };

/* What a person looks for; `show`, --wide and --json have the rest. */
static const struct table_column COLUMNS[] = {
    {"rejected_id", TABLE_NUMBER}, {"rejected_at", TABLE_TEXT}, {"tenant", TABLE_NAME},
    {"metric", TABLE_NAME},        {"quantity", TABLE_NAME},    {"reason", TABLE_TEXT},
    {"replayed", TABLE_TEXT},      {"detail", TABLE_NOTE},      {NULL, TABLE_TEXT}};
static const struct table_column WIDE[] = {
    {"rejected_id", TABLE_NUMBER}, {"rejected_at", TABLE_TEXT}, {"stream", TABLE_TEXT},
    {"epoch", TABLE_NUMBER},       {"stream_id", TABLE_TEXT},   {"tenant", TABLE_NAME},
    {"metric", TABLE_NAME},        {"quantity", TABLE_NAME},    {"reason", TABLE_TEXT},
    {"replayed_at", TABLE_TEXT},   {"detail", TABLE_NOTE},      {NULL, TABLE_TEXT}};
static const struct table_column SUMMARY[] = {{"reason", TABLE_TEXT},    {"metric", TABLE_NAME},
                                              {"entries", TABLE_NUMBER}, {"pending", TABLE_NUMBER},
                                              {"tenants", TABLE_NUMBER}, {"first_at", TABLE_TEXT},
                                              {"last_at", TABLE_TEXT},   {NULL, TABLE_TEXT}};

struct options {
    struct rejected_filter filter;
    const char *limit;
    bool pending, summary, json, wide;
};

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
    ctl_fail(-1, "--reason must be one of %s, not %s", list.data, f->reason);
    buf_done(&list);
    return -1;
}

int rejected_check_id(const char *text)
{
    int64_t id;
    if (str_to_i64(text, strlen(text), &id) || id < 1)
        return ctl_fail(
            -1,
            "%s is not the ID of a rejected entry, which is a number (see meterctl rejected list)",
            text);
    return 0;
}

/* The fields as JSON, for programs; a table has no room for them. */
static void parse_fields(json_t *rows, bool json)
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

static void print_rows(json_t *rows, const struct options *o)
{
    struct table_view view = {.none = o->pending ? "nothing waits to be replayed"
                                                 : "nothing was rejected",
                              .wide = o->wide};
    view.columns = o->summary ? SUMMARY : o->wide ? WIDE : COLUMNS;
    view.title = o->summary ? "rejected, by reason and metric; pending: not replayed yet"
                            : "rejected, newest first";
    for (size_t i = 0; !o->json && i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        json_object_set_new(row, "replayed",
                            json_string(json_object_get(row, "replayed_at") ? "yes" : "no"));
    }
    table_show(rows, o->json, view);
}

static int list(PGconn *conn, void *owner)
{
    struct options *o = owner;
    struct rejected_filter *f = &o->filter;
    struct err e;
    int code = args_time(conn, "--since", f->since, f->since_at);
    if (code == CTL_DONE)
        code = names_check(conn, f->tenant, NULL, CTL_FAILED);
    if (code != CTL_DONE)
        return code;
    const char *pending = o->pending ? "t" : "f";
    const char *since = args_or_null(f->since_at);
    const char *filter[] = {f->tenant, f->reason, since, o->limit, NULL, pending};
    const char *summary[] = {f->tenant, f->reason, since, pending};
    json_t *rows = json_array();
    if (o->summary ? report_query(rows, conn, SQL_SUMMARIZE_REJECTED, 4, summary, &e)
                   : report_query(rows, conn, SQL_LIST_REJECTED, 6, filter, &e)) {
        code = ctl_fail_err(CTL_FAILED, &e);
    } else {
        parse_fields(rows, o->json);
        print_rows(rows, o);
    }
    json_decref(rows);
    return code;
}

int rejected_list_run(const struct ctl_config *config, int argc, char **argv)
{
    struct options o = {.limit = LIST_DEFAULT};
    const struct args_option options[] = {REJECTED_FILTER_OPTIONS(o.filter),
                                          {"--limit", &o.limit, NULL},
                                          {"--json", NULL, &o.json},
                                          {"--pending", NULL, &o.pending},
                                          {"--wide", NULL, &o.wide},
                                          {"--summary", NULL, &o.summary},
                                          {NULL, NULL, NULL}};
    int64_t rows;
    if (args_parse_options(argc, argv, options) || rejected_check_reason(&o.filter) ||
        args_whole("--limit", o.limit, 1, LIST_MAX, &rows))
        return CTL_USAGE;
    return ctl_with_database(config, CTL_FAILED, list, &o);
}

struct show {
    const char *id;
    bool json;
};

static int show(PGconn *conn, void *owner)
{
    const struct show *s = owner;
    const char *values[] = {NULL, NULL, NULL, "1", s->id, "f"};
    json_t *rows = json_array();
    struct err e;
    int code = CTL_DONE;
    if (report_query(rows, conn, SQL_LIST_REJECTED, 6, values, &e)) {
        code = ctl_fail_err(CTL_FAILED, &e);
    } else if (json_array_size(rows) == 0) {
        code = ctl_fail(CTL_FAILED, "there is no rejected entry %s (see meterctl rejected list)",
                        s->id);
    } else {
        parse_fields(rows, true);
        (s->json ? report_print_json : report_print_entry)(json_array_get(rows, 0));
    }
    json_decref(rows);
    return code;
}

int rejected_show_run(const struct ctl_config *config, int argc, char **argv)
{
    struct show s = {0};
    const struct args_option options[] = {{"--json", NULL, &s.json}, {NULL, NULL, NULL}};
    if (args_parse(argc, argv, options, 1, 1) < 0 || rejected_check_id(argv[0]))
        return CTL_USAGE;
    s.id = argv[0];
    return ctl_with_database(config, CTL_FAILED, show, &s);
}
