/* meterctl submissions list and show: what was handed to Stripe, and what became of it. */
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/known.h"
#include "ctl/report.h"
#include "ctl/submissions/submissions.h"
#include "ctl/terminal/table.h"

#include "common/str.h"

#include <stdio.h>
#include <string.h>

#define LIST_DEFAULT "50"

enum { LIST_MAX = 1000000 };

static const struct table_column COLUMNS[] = {
    {"identifier", TABLE_NAME}, {"state", TABLE_TEXT},      {"tenant", TABLE_NAME},
    {"metric", TABLE_NAME},     {"quantity", TABLE_NUMBER}, {"usage_at", TABLE_TEXT},
    {"attempts", TABLE_NUMBER}, {"request_id", TABLE_NAME}, {"decision", TABLE_TEXT},
    {"last_error", TABLE_NOTE}, {NULL, TABLE_TEXT}};

struct options {
    const char *state;
    const char *tenant;
    const char *metric;
    const char *period;
    const char *since;
    const char *limit;
    bool json;
    bool wide;
};

static int check_state(const char *state)
{
    struct buf list = {0};

    for (const struct submission_state *s = SUBMISSION_STATES; s->name; s++) {
        if (!state || strcmp(state, s->name) == 0) {
            buf_done(&list);
            return 0;
        }
        buf_printf(&list, "%s%s", list.length == 0 ? "" : ", ", s->name);
    }
    ctl_fail(-1, "no such state: %s (one of: %s)", state, list.data);
    buf_done(&list);
    return -1;
}

static void print_list(json_t *rows, bool json, bool wide)
{
    if (json)
        for (size_t i = 0; i < json_array_size(rows); i++)
            json_object_del(json_array_get(rows, i), "body");
    if (json)
        report_print_json(rows);
    else if (json_array_size(rows) == 0)
        puts("no such submissions");
    else
        table_print("submissions, the newest first", rows, COLUMNS, wide);
}

static int list_rows(PGconn *conn, const struct options *o)
{
    char period[TIME_TEXT_SIZE], since[TIME_TEXT_SIZE];
    struct err e;
    int code = args_period(conn, o->period, period);

    if (code == CTL_DONE)
        code = args_time(conn, "--since", o->since, since);
    if (code == CTL_DONE)
        code = known_check(conn, o->tenant, o->metric, CTL_FAILED);
    if (code != CTL_DONE)
        return code;
    const char *values[] = {o->state,
                            o->tenant,
                            o->metric,
                            args_or_null(period),
                            args_or_null(since),
                            NULL,
                            o->limit ? o->limit : LIST_DEFAULT};
    json_t *rows = submissions_read(conn, values, &e);
    if (!rows)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    print_list(rows, o->json, o->wide);
    json_decref(rows);
    return CTL_DONE;
}

int submissions_list_run(const struct ctl_config *config, int argc, char **argv)
{
    struct options o = {0};
    const struct args_option options[] = {
        {"--state", &o.state, NULL},   {"--tenant", &o.tenant, NULL}, {"--metric", &o.metric, NULL},
        {"--period", &o.period, NULL}, {"--since", &o.since, NULL},   {"--limit", &o.limit, NULL},
        {"--json", NULL, &o.json},     {"--wide", NULL, &o.wide},     {NULL, NULL, NULL}};
    int64_t limit;
    struct err e;
    int plain = args_take(argc, argv, options);

    if (plain < 0 || args_expect_none(plain, argv) || check_state(o.state) ||
        args_whole("--limit", o.limit, 1, LIST_MAX, &limit))
        return CTL_USAGE;
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int code = conn ? list_rows(conn, &o) : ctl_fail(CTL_FAILED, "%s", e.text);
    PQfinish(conn);
    return code;
}

static void print_one(json_t *row, bool json)
{
    const char *state = json_string_value(json_object_get(row, "state"));

    json_object_set_new(row, "meaning", json_string(submission_meaning(state)));
    (json ? report_print_json : report_print_entry)(row);
}

static int show_row(PGconn *conn, const char *identifier, bool json)
{
    const char *values[] = {NULL, NULL, NULL, NULL, NULL, identifier, "1"};
    struct err e;
    json_t *rows = submissions_read(conn, values, &e);

    if (!rows)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    json_t *row = json_array_get(rows, 0);
    int code = CTL_DONE;
    if (row)
        print_one(row, json);
    else
        code = ctl_fail(CTL_FAILED, "there is no submission %s", identifier);
    json_decref(rows);
    return code;
}

int submissions_show_run(const struct ctl_config *config, int argc, char **argv)
{
    bool json = false;
    const struct args_option options[] = {{"--json", NULL, &json}, {NULL, NULL, NULL}};
    struct err e;
    int plain = args_take(argc, argv, options);

    if (plain < 0)
        return CTL_USAGE;
    if (plain != 1)
        return ctl_fail(CTL_USAGE, "usage: meterctl submissions show IDENTIFIER [--json]");
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int code = conn ? show_row(conn, argv[0], json) : ctl_fail(CTL_FAILED, "%s", e.text);
    PQfinish(conn);
    return code;
}
