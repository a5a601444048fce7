/* meterctl catalog apply and show: the catalog's file becomes the catalog's tables, in one
 * transaction, and the tables become such a file.
 *
 * Each table takes its rows as one JSON parameter in one statement, which tells what it changed.
 * Only if anything did, the catalog's version rises (stages read the catalog anew) and quotas
 * follow. */
#include "ctl/args.h"
#include "ctl/catalog/catalog_file.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum table { METRICS, PLANS, LIMITS, SETTINGS, ALERTS, TAX, TABLES };

struct apply {
    PGconn *conn;
    char *rows[TABLES]; /* JSON arrays; owned */
    struct buf summary; /* a line for each change; shown once it is committed */
    int changes;        /* rows of the catalog that were changed */
    int64_t version;    /* of the catalog, when it is done */
    int64_t tenants;    /* whose quotas were refreshed */
};

/* In this order: what others refer to comes first, what is retired comes last. */
static const struct step {
    const char *sql;
    const char *kind;   /* for the summary */
    enum table rows[2]; /* of parameters $1 and $2 */
    int params;
} STEPS[] = {
    {SQL_APPLY_METRICS, "metric", {METRICS}, 1},    {SQL_RELEASE_LOOKUP_KEYS, "plan", {PLANS}, 1},
    {SQL_APPLY_PLANS, "plan", {PLANS}, 1},          {SQL_APPLY_LIMITS, "limit", {LIMITS}, 1},
    {SQL_DROP_LIMITS, "limit", {LIMITS, PLANS}, 2}, {SQL_RETIRE_PLANS, "plan", {PLANS}, 1},
    {SQL_RETIRE_METRICS, "metric", {METRICS}, 1},   {SQL_APPLY_SETTINGS, "setting", {SETTINGS}, 1},
    {SQL_APPLY_ALERTS, "alert", {ALERTS}, 1},       {SQL_APPLY_TAX, "tax", {TAX}, 1},
};

static int run_step(struct apply *a, const struct step *step, struct err *e)
{
    const char *values[] = {a->rows[step->rows[0]], a->rows[step->rows[1]]};
    PGresult *changed = db_query(a->conn, step->sql, step->params, values, e);
    if (!changed)
        return -1;
    for (int i = 0; i < PQntuples(changed); i++)
        buf_printf(&a->summary, "%s %s %s\n", step->kind, db_text(changed, i, 0),
                   db_text(changed, i, 1));
    a->changes += PQntuples(changed);
    PQclear(changed);
    return 0;
}

/* Print every change that the catalog may not make. */
static int refuse_metrics(struct apply *a, struct err *e)
{
    const char *value = a->rows[METRICS];
    PGresult *refused = db_query(a->conn, SQL_FIND_REFUSED_METRICS, 1, &value, e);
    if (!refused)
        return -1;
    int count = PQntuples(refused);
    for (int i = 0; i < count; i++)
        fprintf(stderr, "%s\n", db_text(refused, i, 0));
    PQclear(refused);
    return count ? err_set(e, ERR_INPUT, "refused for the reasons above; nothing was changed") : 0;
}

/* Stages read the catalog anew when its version rises. */
static int raise_version(struct apply *a, struct err *e)
{
    if (a->changes == 0)
        return db_number(a->conn, SQL_READ_CATALOG_VERSION, 0, NULL, &a->version, e);
    if (db_number(a->conn, SQL_BUMP_CATALOG_VERSION, 0, NULL, &a->version, e) ||
        db_run(a->conn, SQL_NOTE_METRIC_VERSIONS, 0, NULL, NULL, e) ||
        db_run(a->conn, SQL_CHECK_ALL_ALERTS, 0, NULL, NULL, e))
        return -1;
    return db_number(a->conn, SQL_REFRESH_QUOTAS, 0, NULL, &a->tenants, e);
}

static int apply_all(PGconn *conn, void *owner, struct err *e)
{
    struct apply *a = owner;
    if (db_run(conn, SQL_LOCK_CATALOG, 0, NULL, NULL, e) || refuse_metrics(a, e))
        return -1;
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0]; i++)
        if (run_step(a, &STEPS[i], e))
            return -1;
    return db_run(conn, SQL_SEAL_METRICS, 0, NULL, NULL, e) ? -1 : raise_version(a, e);
}

/* rows: of catalog_parse. */
static int apply_rows(PGconn *conn, void *rows)
{
    static const char *const NAMES[TABLES] = {"metrics",  "plans",  "limits",
                                              "settings", "alerts", "tax"};
    struct apply a = {.conn = conn};
    struct err e;
    for (int i = 0; i < TABLES; i++)
        a.rows[i] = json_dumps(json_object_get(rows, NAMES[i]), JSON_COMPACT);
    int failed = db_transaction(conn, apply_all, &a, &e);
    if (!failed && a.changes == 0)
        printf("catalog version %" PRId64 ", nothing changed\n", a.version);
    else if (!failed)
        printf("%scatalog version %" PRId64 ", %d changed, quotas of %" PRId64
               " tenants refreshed\n",
               a.summary.data, a.version, a.changes, a.tenants);
    for (int i = 0; i < TABLES; i++)
        free(a.rows[i]);
    buf_done(&a.summary);
    return failed ? ctl_fail(CTL_FAILED, "catalog: %s", e.text) : CTL_DONE;
}

int catalog_apply_run(const struct ctl_config *config, int argc, char **argv)
{
    json_t *rows = NULL;
    if (args_parse(argc, argv, NULL, 1, 1) < 0)
        return CTL_USAGE;
    int code = catalog_file_read(argv[0], "nothing was changed", &rows);
    if (code == CTL_DONE)
        code = ctl_with_database(config, CTL_FAILED, apply_rows, rows);
    json_decref(rows);
    return code;
}

static int show(PGconn *conn, void *owner)
{
    struct err e;
    PGresult *catalog = db_query(conn, SQL_SHOW_CATALOG, 0, NULL, &e);
    (void)owner;
    if (!catalog)
        return ctl_fail_err(CTL_FAILED, &e);
    json_error_t error;
    json_t *document = json_loads(db_text(catalog, 0, 0), 0, &error);
    PQclear(catalog);
    if (!document)
        return ctl_fail(CTL_FAILED, "catalog: %s", error.text);
    report_print_json(document);
    json_decref(document);
    return CTL_DONE;
}

int catalog_show_run(const struct ctl_config *config, int argc, char **argv)
{
    return args_parse_options(argc, argv, NULL) ? CTL_USAGE
                                                : ctl_with_database(config, CTL_FAILED, show, NULL);
}
