/* meterctl export: a day's usage and rollups into an object store, and a manifest of them, which is
 * written last: what it names is whole. The same day again has the same names, and, as long as
 * nothing new was counted, the same content. */
#include "common/str.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/export/object_store.h"
#include "ctl/report.h"
#include "ctl/rollup/csv_rows.h"
#include "ctl/sql.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_A_MB = 1024 * 1024, MANIFEST_FORMAT = 1 };

static const struct csv_table USAGE = {
    "usage",
    (const char *const[]){"tenant", "metric", "dimensions", "minute_at", "events", "quantity_sum",
                          "quantity_min", "quantity_max", "quantity_last", NULL},
    SQL_LIST_USAGE_MINUTES};

struct export
{
    struct object_store *store;
    const char *from, *to; /* as written */
    const char *day;       /* the one that is being exported, "2026-11-29" */
    const char *ends_at;   /* when it ends */
    json_t *files;         /* for the manifest */
};

static int write_object(void *owner, const char *data, size_t length, struct err *e)
{
    return object_write(owner, data, length, e);
}

static void note_file(struct export *x, const char *name, int64_t rows,
                      const struct object_sum *sum, json_t *sums)
{
    json_t *file = json_pack("{s:s, s:I, s:I, s:s}", "name", name, "rows", (json_int_t)rows,
                             "bytes", (json_int_t)sum->bytes, "sha256", sum->sha256);
    if (sums)
        json_object_set(file, "sums", sums);
    json_array_append_new(x->files, file);
    printf("exported %s rows=%" PRId64 " bytes=%" PRId64 " sha256=%s\n", name, rows, sum->bytes,
           sum->sha256);
    fflush(stdout);
}

static int export_table(PGconn *conn, struct export *x, const char *name,
                        const struct csv_table *table, json_t *sums, struct err *e)
{
    const char *values[] = {x->ends_at};
    struct object_sum sum;
    int64_t rows;
    object_begin(x->store, name, "text/csv; charset=utf-8");
    if (csv_write_rows(conn, table, 1, values, write_object, x->store, &rows, e) ||
        object_end(x->store, &sum, e)) {
        object_cancel(x->store);
        return err_wrap(e, "%s", name);
    }
    note_file(x, name, rows, &sum, sums);
    return 0;
}

/* Sums and rows are of one snapshot. */
static int export_tables(PGconn *conn, struct export *x, struct err *e)
{
    const char *values[] = {x->ends_at};
    struct buf name = {0};
    json_t *sums = json_array();
    buf_printf(&name, "usage/%s.csv", x->day);
    int failed = report_query(sums, conn, SQL_SUM_USAGE_MINUTES, 1, values, e) ||
                 export_table(conn, x, name.data, &USAGE, sums, e);
    for (const struct csv_table *t = CSV_ROLLUPS; !failed && t->name; t++) {
        buf_clear(&name);
        buf_printf(&name, "rollups/%s/%s.csv", x->day, t->name);
        failed = export_table(conn, x, name.data, t, NULL, e);
    }
    json_decref(sums);
    buf_done(&name);
    return failed ? -1 : 0;
}

static int export_manifest(struct export *x, struct err *e)
{
    struct buf name = {0};
    struct object_sum sum;
    json_t *manifest =
        json_pack("{s:s, s:i, s:O}", "day", x->day, "format", MANIFEST_FORMAT, "files", x->files);
    char *text = json_dumps(manifest, JSON_INDENT(1));
    buf_printf(&name, "manifests/%s.json", x->day);
    object_begin(x->store, name.data, "application/json");
    int failed = object_write(x->store, text, strlen(text), e) || object_end(x->store, &sum, e);
    if (failed) {
        object_cancel(x->store);
        err_wrap(e, "%s", name.data);
    } else {
        printf("exported %s files=%zu\n", name.data, json_array_size(x->files));
    }
    free(text);
    json_decref(manifest);
    buf_done(&name);
    return failed ? -1 : 0;
}

static int export_day(PGconn *conn, struct export *x, struct err *e)
{
    struct err ignored;
    x->files = json_array();
    int failed = db_begin_snapshot(conn, e);
    if (!failed) {
        failed = export_tables(conn, x, e);
        if (db_script(conn, failed ? "ROLLBACK" : "COMMIT", failed ? &ignored : e))
            failed = -1;
    }
    if (!failed)
        failed = export_manifest(x, e);
    json_decref(x->files);
    return failed;
}

static int run(PGconn *conn, void *owner)
{
    enum { DAY, ENDS_AT };
    struct export *x = owner;
    char from[TIME_TEXT_SIZE];
    char to[TIME_TEXT_SIZE];
    struct err e;
    int code = args_time(conn, "--from", x->from, from);
    if (code == CTL_DONE)
        code = args_time(conn, "--to", x->to, to);
    if (code != CTL_DONE)
        return code;
    const char *values[] = {args_or_null(from), args_or_null(to)};
    PGresult *days = db_query(conn, SQL_LIST_EXPORT_DAYS, 2, values, &e);
    if (!days)
        return ctl_fail_err(CTL_FAILED, &e);
    if (PQntuples(days) == 0)
        code = ctl_fail(CTL_USAGE, "--from must not lie behind --to");
    for (int i = 0; i < PQntuples(days) && code == CTL_DONE; i++) {
        x->day = db_text(days, i, DAY);
        x->ends_at = db_text(days, i, ENDS_AT);
        if (export_day(conn, x, &e))
            code = ctl_fail_err(CTL_FAILED, &e);
    }
    PQclear(days);
    return code;
}

int export_run(const struct ctl_config *config, int argc, char **argv)
{
    struct export x = {0};
    const char *day = NULL;
    const struct args_option options[] = {{"--day", &day, NULL},
                                          {"--from", &x.from, NULL},
                                          {"--to", &x.to, NULL},
                                          {NULL, NULL, NULL}};
    const struct object_store_config store = {.url = config->export_url,
                                              .region = config->export_region,
                                              .key_id = config->export_key_id,
                                              .secret = config->export_secret,
                                              .part_bytes =
                                                  (size_t)config->export_part_mb * BYTES_A_MB};
    if (args_parse_options(argc, argv, options))
        return CTL_USAGE;
    if (day && (x.from || x.to))
        return ctl_fail(CTL_USAGE,
                        "--day is one day, --from and --to are several: say one of both");
    if (!store.url || !store.key_id || !store.secret)
        return ctl_fail(
            CTL_USAGE,
            "EXPORT_URL, EXPORT_ACCESS_KEY_ID and EXPORT_SECRET_ACCESS_KEY are required");
    if (day)
        x.from = x.to = day;
    x.store = object_store_open(&store);
    int code = ctl_with_database(config, CTL_FAILED, run, &x);
    object_store_close(x.store);
    return code;
}
