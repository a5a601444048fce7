/* meterctl catalog apply: the catalog's file becomes the catalog's tables, in one transaction.
 *
 * Each table takes its rows as one JSON parameter in one statement, which tells what it changed.
 * Only if anything did, the catalog's version rises (stages read the catalog anew) and quotas
 * follow. */
#include "ctl/catalog/catalog_parse.h"
#include "ctl/catalog/file.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/sql.h"

#include <stdio.h>
#include <stdlib.h>

enum table { METRICS, PLANS, LIMITS, TABLES };

struct apply {
    PGconn *conn;
    char *rows[TABLES]; /* JSON arrays; owned */
    struct buf summary; /* a line for each change; shown once it is committed */
    int changes;        /* rows of the catalog that were changed */
};

/* Each in its order: what is referred to comes first, what is left over last. */
static const struct step {
    const char *sql;
    const char *kind;   /* for the summary */
    enum table rows[2]; /* of parameters $1 and $2 */
    int params;
} STEPS[] = {
    {SQL_APPLY_METRICS, "metric", {METRICS}, 1},    {SQL_RELEASE_LOOKUP_KEYS, "plan", {PLANS}, 1},
    {SQL_APPLY_PLANS, "plan", {PLANS}, 1},          {SQL_APPLY_LIMITS, "limit", {LIMITS}, 1},
    {SQL_DROP_LIMITS, "limit", {LIMITS, PLANS}, 2}, {SQL_RETIRE_PLANS, "plan", {PLANS}, 1},
    {SQL_RETIRE_METRICS, "metric", {METRICS}, 1},
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

/* What the catalog may not change, told in full. */
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
    return count ? err_set(e, ERR_INPUT, "refused, nothing was changed") : 0;
}

static int read_number(struct apply *a, const char *sql, int64_t *out, struct err *e)
{
    PGresult *result = db_query(a->conn, sql, 0, NULL, e);
    if (!result)
        return -1;
    *out = db_i64(result, 0, 0);
    PQclear(result);
    return 0;
}

static int finish(struct apply *a, struct err *e)
{
    int64_t version = 0;
    int64_t tenants = 0;

    if (db_run(a->conn, SQL_SEAL_METRICS, 0, NULL, NULL, e))
        return -1;
    if (a->changes == 0) {
        if (read_number(a, SQL_READ_CATALOG_VERSION, &version, e) ||
            db_script(a->conn, "COMMIT", e))
            return -1;
        printf("catalog version %lld, nothing changed\n", (long long)version);
        return 0;
    }
    if (read_number(a, SQL_BUMP_CATALOG_VERSION, &version, e) ||
        db_run(a->conn, SQL_NOTE_METRIC_VERSIONS, 0, NULL, NULL, e) ||
        read_number(a, SQL_REFRESH_QUOTAS, &tenants, e) || db_script(a->conn, "COMMIT", e))
        return -1;
    fputs(a->summary.data, stdout);
    printf("catalog version %lld, %d changed, quotas of %lld tenants refreshed\n",
           (long long)version, a->changes, (long long)tenants);
    return 0;
}

static int apply_all(struct apply *a, struct err *e)
{
    if (db_script(a->conn, "BEGIN", e) || db_run(a->conn, SQL_LOCK_CATALOG, 0, NULL, NULL, e) ||
        refuse_metrics(a, e))
        return -1;
    for (size_t i = 0; i < sizeof STEPS / sizeof STEPS[0]; i++)
        if (run_step(a, &STEPS[i], e))
            return -1;
    return finish(a, e);
}

/* rows: of catalog_parse. Closing the connection rolls back what was not committed. */
static int apply_rows(const char *url, json_t *rows)
{
    struct err e;
    struct apply a = {.conn = db_open(url, CTL_ROLE, &e)};
    if (!a.conn)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    a.rows[METRICS] = json_dumps(json_object_get(rows, "metrics"), JSON_COMPACT);
    a.rows[PLANS] = json_dumps(json_object_get(rows, "plans"), JSON_COMPACT);
    a.rows[LIMITS] = json_dumps(json_object_get(rows, "limits"), JSON_COMPACT);
    int failed = apply_all(&a, &e);
    for (int i = 0; i < TABLES; i++)
        free(a.rows[i]);
    buf_done(&a.summary);
    PQfinish(a.conn);
    return failed ? ctl_fail(CTL_FAILED, "catalog: %s", e.text) : CTL_DONE;
}

int catalog_apply_run(const struct ctl_config *config, int argc, char **argv)
{
    struct buf text = {0};
    struct buf faults = {0};
    struct err e;

    if (argc != 1)
        return ctl_fail(CTL_USAGE,
                        "catalog apply takes one file (see meterctl catalog apply --help)");
    if (file_read(argv[0], &text, &e)) {
        buf_done(&text);
        return ctl_fail(CTL_USAGE, "%s", e.text);
    }
    json_t *rows = catalog_parse(text.data ? text.data : "", text.length, &faults);
    buf_done(&text);
    if (!rows) {
        ctl_fail(CTL_FAILED, "%s is no valid catalog, nothing was changed:", argv[0]);
        fputs(faults.data, stderr);
        buf_done(&faults);
        return CTL_FAILED;
    }
    int code = apply_rows(config->base.database_url, rows);
    json_decref(rows);
    return code;
}
