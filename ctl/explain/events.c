/* meterctl events: the raw events of a tenant, a row at a time: memory does not grow with them. */
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/explain/event_format.h"
#include "ctl/known.h"
#include "ctl/sql.h"

#include "common/pg/pg.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* As the statement has them. */
static const struct event_column COLUMNS[] = {
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
        event_format_csv(line, COLUMN_COUNT, values);
    else
        event_format_ndjson(line, COLUMNS, COLUMN_COUNT, values);
    fwrite(line->data, 1, line->length, stdout);
}

static void write_head(const struct options *o, struct buf *line)
{
    const char *names[COLUMN_COUNT];

    for (int i = 0; i < COLUMN_COUNT; i++)
        names[i] = COLUMNS[i].name;
    if (is_csv(o))
        write_line(o, line, names);
}

/* In single-row mode each result holds one row, but for the last, which holds none. */
static void write_rows(const struct options *o, struct buf *line, const PGresult *rows)
{
    const char *values[COLUMN_COUNT];

    for (int i = 0; i < PQntuples(rows); i++) {
        for (int k = 0; k < COLUMN_COUNT; k++)
            values[k] = db_text(rows, i, k);
        write_line(o, line, values);
    }
}

static int take_results(PGconn *conn, const struct options *o, struct buf *line, struct err *e)
{
    PGresult *result;
    int failed = 0;

    while ((result = PQgetResult(conn)) != NULL) {
        ExecStatusType status = PQresultStatus(result);
        if (status == PGRES_SINGLE_TUPLE || status == PGRES_TUPLES_OK)
            write_rows(o, line, result);
        else if (!failed) {
            pg_result_err(e, conn, result);
            failed = -1;
        }
        PQclear(result);
    }
    return failed;
}

static int export(PGconn *conn, const struct options *o, struct err *e)
{
    const char *values[] = {o->tenant, o->metric, args_or_null(o->from_at), args_or_null(o->to_at),
                            o->limit};
    struct buf line = {0};

    if (db_script(conn, "BEGIN", e))
        return -1;
    if (!PQsendQueryParams(conn, SQL_READ_EVENTS, 5, NULL, values, NULL, NULL, 0) ||
        !PQsetSingleRowMode(conn)) {
        pg_result_err(e, conn, NULL);
        return -1;
    }
    write_head(o, &line);
    int result = take_results(conn, o, &line, e);
    buf_done(&line);
    if (result == 0 && (fflush(stdout) || ferror(stdout)))
        return err_set(e, ERR_IO, "standard output: %s", strerror(errno));
    return result ? result : db_script(conn, "COMMIT", e);
}

static int run(PGconn *conn, struct options *o)
{
    struct err e;
    int code = args_time(conn, "--from", o->from, o->from_at);

    if (code == CTL_DONE)
        code = args_time(conn, "--to", o->to, o->to_at);
    if (code == CTL_DONE)
        code = known_check(conn, o->tenant, o->metric, CTL_FAILED);
    if (code == CTL_DONE && export(conn, o, &e))
        code = ctl_fail(CTL_FAILED, "%s", e.text);
    return code;
}

static int check_options(const struct options *o)
{
    int64_t limit;

    if (!o->tenant)
        return ctl_fail(-1, "whose events? Say --tenant");
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
    struct err e;
    int plain = args_take(argc, argv, options);

    if (plain < 0 || args_expect_none(plain, argv) || check_options(&o))
        return CTL_USAGE;
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int code = conn ? run(conn, &o) : ctl_fail(CTL_FAILED, "%s", e.text);
    PQfinish(conn);
    return code;
}
