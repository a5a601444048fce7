/* meterctl reconcile: compares what Stripe holds with what was sent. common/stripe/reconcile.h
 * does it; what it found is then read from the tables. */
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/names.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/submissions/stripe_run.h"
#include "ctl/terminal/table.h"

#include <inttypes.h>
#include <stdio.h>

enum { MOST_MINUTES = 100 };

struct reconcile_args {
    const struct ctl_config *config;
    const char *tenant;
    const char *period;
    bool json;
    bool wide;
    char at[TIME_TEXT_SIZE];
};

static json_t *gather(PGconn *conn, const struct reconcile_report *r, struct err *e)
{
    char run_text[24];
    const char *run_id = run_text;
    json_t *drift = json_array();
    json_t *minutes = json_array();
    json_t *report = json_pack("{s:o, s:o, s:I, s:I, s:I}", "drift", drift, "minutes", minutes,
                               "compared", (json_int_t)r->compared, "drifted",
                               (json_int_t)r->drifted, "unread", (json_int_t)r->unread);
    snprintf(run_text, sizeof run_text, "%" PRId64, r->run_id);
    if (report_query(drift, conn, SQL_READ_DRIFT, 1, &run_id, e) == 0 &&
        report_query(minutes, conn, SQL_READ_DRIFT_MINUTES, 1, &run_id, e) == 0)
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
        report_print_json(report);
        return;
    }
    table_print("drift", json_object_get(report, "drift"), DRIFT, args->wide);
    table_print("minutes that differ", json_object_get(report, "minutes"), MINUTES, args->wide);
    json_object_del(report, "drift");
    json_object_del(report, "minutes");
    report_print_line("reconcile", report);
}

static int compare(PGconn *conn, const struct reconcile_args *args)
{
    struct err e;
    struct doubts_report doubts;
    struct reconcile_report found;
    const struct reconcile_ask ask = {.reason = "operator",
                                      .tenant = args->tenant,
                                      .at = args_or_null(args->at),
                                      .most = MOST_MINUTES};
    if (stripe_run_doubts(args->config, &doubts, &e) ||
        stripe_run_compare(args->config, &ask, &found, &e))
        return ctl_fail_err(CTL_UNCHECKED, &e);
    json_t *report = gather(conn, &found, &e);
    if (!report)
        return ctl_fail_err(CTL_UNCHECKED, &e);
    print_report(report, args);
    json_decref(report);
    if (found.drifted > 0)
        return CTL_FAILED;
    return found.unread > 0 ? CTL_UNCHECKED : CTL_DONE;
}

static int run(PGconn *conn, void *owner)
{
    struct reconcile_args *args = owner;
    int code = args_period(conn, args->period, args->at);
    if (code == CTL_DONE)
        code = names_check(conn, args->tenant, NULL, CTL_UNCHECKED);
    return code == CTL_DONE ? compare(conn, args) : code;
}

int reconcile_command_run(const struct ctl_config *config, int argc, char **argv)
{
    struct reconcile_args args = {.config = config};
    const struct args_option options[] = {{"--tenant", &args.tenant, NULL},
                                          {"--period", &args.period, NULL},
                                          {"--json", NULL, &args.json},
                                          {"--wide", NULL, &args.wide},
                                          {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options))
        return CTL_USAGE;
    int code = stripe_run_check(config);
    return code == CTL_DONE ? ctl_with_database(config, CTL_UNCHECKED, run, &args) : code;
}
