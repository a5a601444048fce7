/* meterctl rollup: revenue by day and month, activation and return on what usage costs, made anew
 * from what is kept, into the tables that dashboards read and, where a folder is named, as CSV. */
#include "common/str.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/revenue/rates.h"
#include "ctl/rollup/csv_rows.h"
#include "ctl/rollup/steps.h"
#include "ctl/sql.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REVENUE_DAYS "400"
#define ROI_DAYS     "62" /* events may be 35 days old */

struct rollup {
    const char *folder; /* NULL: no files */
    const char *from, *currency, *steps;
    char since[TIME_TEXT_SIZE]; /* of what is being made */
    char *step_list;            /* as JSON */
    int64_t rows;
};

static int make_revenue(PGconn *conn, void *owner, struct err *e)
{
    struct rollup *r = owner;
    const char *values[] = {r->since, r->currency};
    const char *note[] = {"revenue", r->currency};
    if (db_run(conn, SQL_FORGET_REVENUE, 1, values, NULL, e) ||
        db_run(conn, SQL_MAKE_REVENUE, 2, values, &r->rows, e))
        return -1;
    return db_run(conn, SQL_NOTE_ROLLUP, 2, note, NULL, e);
}

static int make_activation(PGconn *conn, void *owner, struct err *e)
{
    struct rollup *r = owner;
    const char *values[] = {r->step_list};
    const char *note[] = {"activation", NULL};
    if (db_run(conn, SQL_NOTE_STEPS, 1, values, NULL, e) ||
        db_run(conn, SQL_FORGET_ACTIVATION, 0, NULL, NULL, e) ||
        db_run(conn, SQL_MAKE_ACTIVATION, 1, values, &r->rows, e))
        return -1;
    return db_run(conn, SQL_NOTE_ROLLUP, 2, note, NULL, e);
}

static int make_roi(PGconn *conn, void *owner, struct err *e)
{
    struct rollup *r = owner;
    const char *values[] = {r->since};
    const char *note[] = {"roi", NULL};
    if (db_run(conn, SQL_FORGET_ROI, 1, values, NULL, e) ||
        db_run(conn, SQL_MAKE_ROI, 1, values, &r->rows, e))
        return -1;
    return db_run(conn, SQL_NOTE_ROLLUP, 2, note, NULL, e);
}

static int read_start(PGconn *conn, struct rollup *r, const char *from, const char *days,
                      struct err *e)
{
    const char *values[] = {args_or_null(from), days};
    PGresult *row = db_query(conn, SQL_READ_START, 2, values, e);
    if (!row)
        return -1;
    snprintf(r->since, sizeof r->since, "%s", db_text(row, 0, 0));
    PQclear(row);
    return 0;
}

/* One that fails does not keep the others from being made. Returns CTL_DONE or CTL_FAILED. */
static int make(PGconn *conn, struct rollup *r, const char *from)
{
    const struct {
        const char *name;
        const char *days;
        db_work_fn work;
    } ROLLUPS[] = {{"revenue", REVENUE_DAYS, make_revenue},
                   {"activation", REVENUE_DAYS, make_activation},
                   {"roi", ROI_DAYS, make_roi}};
    int code = CTL_DONE;
    for (size_t i = 0; i < sizeof ROLLUPS / sizeof *ROLLUPS; i++) {
        struct err e;
        if (read_start(conn, r, from, ROLLUPS[i].days, &e) ||
            db_transaction(conn, ROLLUPS[i].work, r, &e)) {
            err_wrap(&e, "%s", ROLLUPS[i].name);
            code = ctl_fail_err(CTL_FAILED, &e);
        } else {
            printf("rollup %s rows=%" PRId64 "\n", ROLLUPS[i].name, r->rows);
        }
    }
    return code;
}

/* The files. */

struct file {
    const struct csv_table *table;
    FILE *out;
    int64_t rows;
};

static int write_bytes(void *owner, const char *data, size_t length, struct err *e)
{
    if (fwrite(data, 1, length, owner) == length)
        return 0;
    return err_set(e, ERR_IO, "%s", strerror(errno));
}

static int write_table(PGconn *conn, void *owner, struct err *e)
{
    struct file *f = owner;
    const char *all[] = {NULL};
    return csv_write_rows(conn, f->table, 1, all, write_bytes, f->out, &f->rows, e);
}

/* A name of its own until it is whole, so that nobody reads half of it. */
static int write_file(PGconn *conn, const char *folder, const struct csv_table *table)
{
    struct err e;
    struct buf path = {0};
    struct buf whole = {0};
    buf_printf(&whole, "%s/%s.csv", folder, table->name);
    buf_printf(&path, "%s.part", whole.data);
    struct file f = {.table = table, .out = fopen(path.data, "w")};
    int failed = f.out ? db_transaction(conn, write_table, &f, &e)
                       : err_set(&e, ERR_IO, "%s", strerror(errno));
    if (f.out && (fflush(f.out) || fsync(fileno(f.out)) || fclose(f.out)) && !failed)
        failed = err_set(&e, ERR_IO, "%s", strerror(errno));
    if (!failed && rename(path.data, whole.data))
        failed = err_set(&e, ERR_IO, "%s", strerror(errno));
    int code = CTL_DONE;
    if (failed) {
        err_wrap(&e, "%s", whole.data);
        code = ctl_fail_err(CTL_FAILED, &e);
        unlink(path.data);
    } else {
        printf("wrote %s rows=%" PRId64 "\n", whole.data, f.rows);
    }
    buf_done(&path);
    buf_done(&whole);
    return code;
}

static int run(PGconn *conn, void *owner)
{
    struct rollup *r = owner;
    char from[TIME_TEXT_SIZE];
    int code = args_time(conn, "--from", r->from, from);
    if (code != CTL_DONE)
        return code;
    code = make(conn, r, from);
    for (const struct csv_table *t = CSV_ROLLUPS; r->folder && t->name; t++)
        if (write_file(conn, r->folder, t) != CTL_DONE)
            code = CTL_FAILED;
    return code;
}

int rollup_run(const struct ctl_config *config, int argc, char **argv)
{
    struct rollup r = {.steps = STEPS_DEFAULT};
    const struct args_option options[] = {{"--from", &r.from, NULL},
                                          {"--currency", &r.currency, NULL},
                                          {"--steps", &r.steps, NULL},
                                          {NULL, NULL, NULL}};
    int plain = args_parse(argc, argv, options, 0, 1);
    if (plain < 0 || rates_check_currency("--currency", r.currency) ||
        !(r.step_list = steps_parse(r.steps)))
        return CTL_USAGE;
    r.folder = plain == 1 ? argv[0] : NULL;
    int code = ctl_with_database(config, CTL_FAILED, run, &r);
    free(r.step_list);
    return code;
}
