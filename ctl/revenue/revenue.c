/* meterctl metrics mrr, arr and churn: recurring revenue at a time or along a series, by the states
 * of subscriptions that are kept (revenue_series() in deploy/functions). */
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/report.h"
#include "ctl/revenue/rates.h"
#include "ctl/sql.h"
#include "ctl/terminal/table.h"

#include <inttypes.h>
#include <string.h>

enum { MOST_STEPS = 4000 };

static const struct table_column MRR[] = {
    {"at", TABLE_TEXT},          {"plan", TABLE_NAME},
    {"currency", TABLE_TEXT},    {"mrr", TABLE_NUMBER},
    {"customers", TABLE_NUMBER}, {"arpu", TABLE_NUMBER},
    {"new", TABLE_NUMBER},       {"reactivation", TABLE_NUMBER},
    {"expansion", TABLE_NUMBER}, {"contraction", TABLE_NUMBER},
    {"churn", TABLE_NUMBER},     {"fx", TABLE_NUMBER},
    {NULL, TABLE_TEXT}};
static const struct table_column ARR[] = {{"at", TABLE_TEXT},          {"plan", TABLE_NAME},
                                          {"currency", TABLE_TEXT},    {"arr", TABLE_NUMBER},
                                          {"customers", TABLE_NUMBER}, {NULL, TABLE_TEXT}};
static const struct table_column CHURN[] = {{"at", TABLE_TEXT},
                                            {"plan", TABLE_NAME},
                                            {"currency", TABLE_TEXT},
                                            {"customers_before", TABLE_NUMBER},
                                            {"won", TABLE_NUMBER},
                                            {"lost", TABLE_NUMBER},
                                            {"logo_churn_percent", TABLE_NUMBER},
                                            {"churn", TABLE_NUMBER},
                                            {"contraction", TABLE_NUMBER},
                                            {"expansion", TABLE_NUMBER},
                                            {"gross_churn_percent", TABLE_NUMBER},
                                            {"net_churn_percent", TABLE_NUMBER},
                                            {"net_retention_percent", TABLE_NUMBER},
                                            {NULL, TABLE_TEXT}};

struct request {
    const char *title;
    const struct table_column *columns;
    bool compares; /* what is shown lies between two times */
    const char *at, *from, *to, *step, *currency, *by;
    bool json, wide;
};

static int fail_span(const struct request *r)
{
    ctl_fail(-1, r->compares ? "--from must lie before --to" : "--from must not lie behind --to");
    return CTL_USAGE;
}

/* The first and the last time. Returns CTL_DONE, or the exit code after telling. */
static int read_span(PGconn *conn, const struct request *r, char since[TIME_TEXT_SIZE],
                     char until[TIME_TEXT_SIZE])
{
    struct err e;
    const char *to = r->at ? r->at : r->to;
    int code = args_time(conn, "--from", r->from, since);
    if (code == CTL_DONE)
        code = args_time(conn, r->at ? "--at" : "--to", to, until);
    if (code != CTL_DONE)
        return code;
    const char *values[] = {args_or_null(since), args_or_null(until), r->step,
                            r->compares ? "true" : "false"};
    PGresult *row = db_query(conn, SQL_READ_SPAN, 4, values, &e);
    if (!row)
        return ctl_fail_err(CTL_FAILED, &e);
    snprintf(since, TIME_TEXT_SIZE, "%s", db_text(row, 0, 0));
    snprintf(until, TIME_TEXT_SIZE, "%s", db_text(row, 0, 1));
    int64_t steps = db_i64(row, 0, 2);
    PQclear(row);
    if (steps > MOST_STEPS) {
        ctl_fail(-1, "%" PRId64 " steps are too many, %d the most: take a longer --step", steps,
                 MOST_STEPS);
        return CTL_USAGE;
    }
    return steps < 0 ? fail_span(r) : CTL_DONE;
}

/* The first time has nothing to compare with. */
static void drop_first(json_t *rows)
{
    while (json_array_size(rows) > 0 && !json_object_get(json_array_get(rows, 0), "rounding_minor"))
        json_array_remove(rows, 0);
}

static int show(PGconn *conn, void *owner)
{
    const struct request *r = owner;
    const struct table_view view = {r->title, "no subscription ever had recurring revenue",
                                    r->columns, r->wide};
    char since[TIME_TEXT_SIZE];
    char until[TIME_TEXT_SIZE];
    struct err e;
    int code = read_span(conn, r, since, until);
    if (code != CTL_DONE)
        return code;
    const char *values[] = {since, until, r->step, r->currency, r->by};
    json_t *rows = json_array();
    if (report_query(rows, conn, SQL_SHOW_REVENUE, 5, values, &e)) {
        json_decref(rows);
        return ctl_fail_err(CTL_FAILED, &e);
    }
    if (r->compares)
        drop_first(rows);
    table_show(rows, r->json, view);
    json_decref(rows);
    return CTL_DONE;
}

static bool is_one_of(const char *text, const char *a, const char *b, const char *c)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0 || (c && strcmp(text, c) == 0);
}

static int check(const struct request *r)
{
    if (r->at && (r->from || r->to))
        return ctl_fail(-1, "--at is one time, --from and --to are a series: say one of both");
    if (!is_one_of(r->step, "day", "week", "month"))
        return ctl_fail(-1, "--step must be day, week or month, not %s", r->step);
    if (r->by && !is_one_of(r->by, "plan", "currency", NULL))
        return ctl_fail(-1, "--by must be plan or currency, not %s", r->by);
    if (r->currency && r->by && strcmp(r->by, "currency") == 0)
        return ctl_fail(-1, "--by currency tells each in itself, so --currency cannot be used");
    return rates_check_currency("--currency", r->currency);
}

static int run(struct request r, const struct ctl_config *config, int argc, char **argv)
{
    const struct args_option options[] = {
        {"--from", &r.from, NULL}, {"--to", &r.to, NULL},
        {"--step", &r.step, NULL}, {"--currency", &r.currency, NULL},
        {"--by", &r.by, NULL},     {"--json", NULL, &r.json},
        {"--wide", NULL, &r.wide}, {r.compares ? NULL : "--at", &r.at, NULL}, /* a NULL ends them */
        {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options) || check(&r))
        return CTL_USAGE;
    return ctl_with_database(config, CTL_FAILED, show, &r);
}

int metrics_mrr_run(const struct ctl_config *config, int argc, char **argv)
{
    return run((struct request){.title = "recurring revenue a month, and what moved it",
                                .columns = MRR,
                                .step = "day"},
               config, argc, argv);
}

int metrics_arr_run(const struct ctl_config *config, int argc, char **argv)
{
    return run((struct request){.title = "recurring revenue a year", .columns = ARR, .step = "day"},
               config, argc, argv);
}

int metrics_churn_run(const struct ctl_config *config, int argc, char **argv)
{
    return run((struct request){.title = "churn up to each time, since the one before",
                                .columns = CHURN,
                                .compares = true,
                                .step = "month"},
               config, argc, argv);
}
