/* meterctl reconcile: what Stripe holds beside what was sent. The run is common/stripe/reconcile.h;
 * what it found is then read from the tables. */
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/known.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/submissions/stripe_run.h"
#include "ctl/terminal/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { MOST_MINUTES = 100 };

struct reconcile_args {
    const char *tenant;
    const char *period;
    bool json;
    bool wide;
    char at[TIME_TEXT_SIZE];
};

static int read_args(int argc, char **argv, struct reconcile_args *args)
{
    const struct args_option options[] = {{"--tenant", &args->tenant, NULL},
                                          {"--period", &args->period, NULL},
                                          {"--json", NULL, &args->json},
                                          {"--wide", NULL, &args->wide},
                                          {NULL, NULL, NULL}};
    int plain = args_take(argc, argv, options);
    return plain < 0 || args_expect_none(plain, argv) ? CTL_USAGE : CTL_DONE;
}

/* "current" is the period that holds now. */
static int read_period(PGconn *conn, struct reconcile_args *args)
{
    bool current = args->period && strcmp(args->period, "current") == 0;
    return args_time(conn, "--period", current ? "0s" : args->period, args->at);
}

static int add_rows(PGconn *conn, const char *sql, const char *run_id, json_t *list, struct err *e)
{
    PGresult *rows = db_query(conn, sql, 1, &run_id, e);
    if (!rows)
        return -1;
    report_add_rows(list, rows);
    PQclear(rows);
    return 0;
}

static json_t *gather(PGconn *conn, const struct reconcile_report *r, struct err *e)
{
    char run_id[24];
    json_t *drift = json_array();
    json_t *minutes = json_array();
    json_t *report = json_pack("{s:o, s:o, s:I, s:I, s:I}", "drift", drift, "minutes", minutes,
                               "compared", (json_int_t)r->compared, "drifted",
                               (json_int_t)r->drifted, "unread", (json_int_t)r->unread);
    snprintf(run_id, sizeof run_id, "%" PRId64, r->run_id);
    if (add_rows(conn, SQL_READ_DRIFT, run_id, drift, e) == 0 &&
        add_rows(conn, SQL_READ_DRIFT_MINUTES, run_id, minutes, e) == 0)
        return report;
    json_decref(report);
    return NULL;
}

static const struct table_column DRIFT[] = {
    {"tenant", TABLE_NAME},     {"metric", TABLE_NAME},
    {"customer", TABLE_NAME},   {"period_start", TABLE_TEXT},
    {"period_end", TABLE_TEXT}, {"sent", TABLE_NUMBER},
    {"open", TABLE_NUMBER},     {"stripe", TABLE_NUMBER},
    {"drift", TABLE_NUMBER},    {NULL, TABLE_TEXT}};
static const struct table_column MINUTES[] = {
    {"tenant", TABLE_NAME},     {"metric", TABLE_NAME},     {"customer", TABLE_NAME},
    {"minute", TABLE_TEXT},     {"stripe", TABLE_NUMBER},   {"sent", TABLE_NUMBER},
    {"identifier", TABLE_NAME}, {"quantity", TABLE_NUMBER}, {"state", TABLE_TEXT},
    {"request_id", TABLE_NAME}, {NULL, TABLE_TEXT}};

static void print_report(json_t *report, const struct reconcile_args *args)
{
    if (args->json) {
        json_dumpf(report, stdout, JSON_INDENT(2));
        putchar('\n');
        return;
    }
    table_print("drift", json_object_get(report, "drift"), DRIFT, args->wide);
    table_print("minutes that differ", json_object_get(report, "minutes"), MINUTES, args->wide);
    json_object_del(report, "drift");
    json_object_del(report, "minutes");
    report_print_line("reconcile", report);
}

static int exit_code_of(const struct reconcile_report *r)
{
    if (r->drifted > 0)
        return CTL_FAILED;
    return r->unread > 0 ? CTL_UNCHECKED : CTL_DONE;
}

static int compare(const struct ctl_config *config, PGconn *conn, const struct reconcile_args *args)
{
    struct err e;
    struct doubts_report doubts;
    struct reconcile_report found;
    const struct reconcile_ask ask = {.reason = "operator",
                                      .tenant = args->tenant,
                                      .at = args_or_null(args->at),
                                      .most = MOST_MINUTES};
    if (stripe_run_doubts(config, &doubts, &e) || stripe_run_compare(config, &ask, &found, &e))
        return ctl_fail(CTL_UNCHECKED, "could not be checked: %s", e.text);
    json_t *report = gather(conn, &found, &e);
    if (!report)
        return ctl_fail(CTL_UNCHECKED, "could not be checked: %s", e.text);
    print_report(report, args);
    json_decref(report);
    return exit_code_of(&found);
}

int reconcile_command_run(const struct ctl_config *config, int argc, char **argv)
{
    struct err e;
    struct reconcile_args args = {.tenant = NULL};
    int code = read_args(argc, argv, &args);
    if (code == CTL_DONE)
        code = stripe_run_check(config);
    if (code != CTL_DONE)
        return code;
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    if (!conn)
        return ctl_fail(CTL_UNCHECKED, "could not be checked: %s", e.text);
    code = read_period(conn, &args);
    if (code == CTL_DONE)
        code = known_check(conn, args.tenant, NULL, CTL_UNCHECKED);
    if (code == CTL_DONE)
        code = compare(config, conn, &args);
    PQfinish(conn);
    return code;
}
