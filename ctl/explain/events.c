/* meterctl events: the raw events of a tenant, read and printed one by one, so that memory does
 * not grow with them. */
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/names.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* In the order of the statement's columns. */
static const struct report_column COLUMNS[] = {
    {"tenant", false},    {"stream", false},      {"stream_id", false},   {"metric", false},
    {"event_id", false},  {"quantity", false},    {"occurred_at", false}, {"retraction", true},
    {"dimensions", true}, {"committed_at", false}};

enum { COLUMN_COUNT = sizeof COLUMNS / sizeof COLUMNS[0] };

struct options {
    const char *tenant;
    const char *metric;
    const char *from;
    const char *to;
    const char *format;
    const char *limit;
    char from_at[TIME_TEXT_SIZE];
    char to_at[TIME_TEXT_SIZE];
};

static bool is_csv(const struct options *o)
{
    return o->format && strcmp(o->format, "csv") == 0;
}

static void write_line(const struct options *o, struct buf *line, const char *const *values)
{
    buf_clear(line);
    if (is_csv(o))
        report_add_csv(line, COLUMN_COUNT, values);
    else
        report_add_ndjson(line, COLUMNS, COLUMN_COUNT, values);
    fwrite(line->data, 1, line->length, stdout);
}

struct writing {
    const struct options *options;
    struct buf line;
};

static void write_row(void *owner, const PGresult *row)
{
    struct writing *w = owner;
    const char *values[COLUMN_COUNT];
    for (int i = 0; i < COLUMN_COUNT; i++)
        values[i] = db_text(row, 0, i);
    write_line(w->options, &w->line, values);
}

static int export(PGconn *conn, void *owner, struct err *e)
{
    const struct options *o = owner;
    const char *values[] = {o->tenant, o->metric, args_or_null(o->from_at), args_or_null(o->to_at),
                            o->limit};
    const char *names[COLUMN_COUNT];
    struct writing w = {.options = o};
    for (int i = 0; i < COLUMN_COUNT; i++)
        names[i] = COLUMNS[i].name;
    if (is_csv(o))
        write_line(o, &w.line, names);
    int failed = db_each(conn, SQL_READ_EVENTS, 5, values, DB_TEXT, write_row, &w, e);
    buf_done(&w.line);
    if (!failed && (fflush(stdout) || ferror(stdout)))
        return err_set(e, ERR_IO, "standard output: %s", strerror(errno));
    return failed;
}

static int run(PGconn *conn, void *owner)
{
    struct options *o = owner;
    struct err e;
    int code = args_time(conn, "--from", o->from, o->from_at);
    if (code == CTL_DONE)
        code = args_time(conn, "--to", o->to, o->to_at);
    if (code == CTL_DONE)
        code = names_check(conn, o->tenant, o->metric, CTL_FAILED);
    if (code == CTL_DONE && db_transaction(conn, export, o, &e))
        code = ctl_fail_err(CTL_FAILED, &e);
    return code;
}

static int check_options(const struct options *o)
{
    int64_t limit;
    if (!o->tenant)
        return ctl_fail(-1, "--tenant is required");
    if (o->format && !is_csv(o) && strcmp(o->format, "ndjson") != 0)
        return ctl_fail(-1, "--format must be ndjson or csv, not %s", o->format);
    return args_whole("--limit", o->limit, 1, INT64_MAX, &limit);
}

int events_run(const struct ctl_config *config, int argc, char **argv)
{
    struct options o = {0};
    const struct args_option options[] = {{"--tenant", &o.tenant, NULL},
                                          {"--metric", &o.metric, NULL},
                                          {"--from", &o.from, NULL},
                                          {"--to", &o.to, NULL},
                                          {"--format", &o.format, NULL},
                                          {"--limit", &o.limit, NULL},
                                          {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options) || check_options(&o))
        return CTL_USAGE;
    return ctl_with_database(config, CTL_FAILED, run, &o);
}
