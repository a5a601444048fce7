/* meterctl late: usage that came too late for its invoice, or for Stripe. A person decides: carried
 * over, the sink bills it in the tenant's current period; dropped, it is never billed, and stays
 * visible as that. */
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/known.h"
#include "ctl/report.h"
#include "ctl/selection.h"
#include "ctl/sql.h"
#include "ctl/submissions/submissions.h"
#include "ctl/terminal/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDENTIFIER, TENANT, STATE, QUANTITY, DECISION, DONE, SUBSCRIBED, REPLACES, METRIC };

static const struct table_column COLUMNS[] = {
    {"identifier", TABLE_NAME}, {"tenant", TABLE_NAME},     {"metric", TABLE_NAME},
    {"quantity", TABLE_NUMBER}, {"usage_at", TABLE_TEXT},   {"period_start", TABLE_TEXT},
    {"decision", TABLE_TEXT},   {"last_error", TABLE_NOTE}, {NULL, TABLE_TEXT}};

static int list_rows(PGconn *conn, const char *tenant, bool json, bool wide)
{
    const char *values[] = {"late", tenant, NULL, NULL, NULL, NULL, NULL};
    struct err e;
    int unknown = known_check(conn, tenant, NULL, CTL_FAILED);

    if (unknown)
        return unknown;
    json_t *rows = submissions_read(conn, values, &e);

    if (!rows)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    if (json)
        report_print_json(rows);
    else if (json_array_size(rows) == 0)
        puts("nothing is late");
    else
        table_print("late, the newest first; without a decision: `meterctl late carry` or `drop`",
                    rows, COLUMNS, wide);
    json_decref(rows);
    return CTL_DONE;
}

int late_list_run(const struct ctl_config *config, int argc, char **argv)
{
    const char *tenant = NULL;
    bool json = false, wide = false;
    const struct args_option options[] = {{"--tenant", &tenant, NULL},
                                          {"--json", NULL, &json},
                                          {"--wide", NULL, &wide},
                                          {NULL, NULL, NULL}};
    struct err e;
    int plain = args_take(argc, argv, options);

    if (plain < 0 || args_expect_none(plain, argv))
        return CTL_USAGE;
    PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
    int code = conn ? list_rows(conn, tenant, json, wide) : ctl_fail(CTL_FAILED, "%s", e.text);
    PQfinish(conn);
    return code;
}

static void tell_skipped(const PGresult *rows, int row, bool carry)
{
    const char *identifier = db_text(rows, row, IDENTIFIER);
    const char *state = db_text(rows, row, STATE);

    if (strcmp(state, "late") != 0)
        printf("skipped %s state=%s msg=\"it is not late: %s\"\n", identifier, state,
               submission_meaning(state));
    else if (carry && *db_text(rows, row, REPLACES) == 't')
        printf("skipped %s msg=\"a value of %s replaces the one before, so that another period "
               "cannot take it: only `meterctl late drop` is left\"\n",
               identifier, db_text(rows, row, METRIC));
    else
        printf("skipped %s msg=\"it was decided so before\"\n", identifier);
}

static void tell_row(const PGresult *rows, int row, bool carry)
{
    const char *identifier = db_text(rows, row, IDENTIFIER);

    if (*db_text(rows, row, DONE) != 't')
        tell_skipped(rows, row, carry);
    else if (carry && *db_text(rows, row, SUBSCRIBED) == 'f')
        printf("warning: tenant %s has no subscription now, to whose invoice %s could be added\n",
               db_text(rows, row, TENANT), identifier);
}

static int tell_rows(const PGresult *rows, bool carry)
{
    int done = 0;

    for (int i = 0; i < PQntuples(rows); i++) {
        tell_row(rows, i, carry);
        done += *db_text(rows, i, DONE) == 't';
    }
    return done;
}

static int decide(PGconn *conn, const struct selection *s, bool carry)
{
    struct err e;
    int unknown = known_check(conn, s->tenant, NULL, CTL_FAILED);

    if (unknown)
        return unknown;
    char *named = s->named ? json_dumps(s->named, JSON_COMPACT) : NULL;
    const char *values[] = {carry ? "carry" : "drop", named, s->tenant};
    PGresult *rows = selection_run(s, conn, SQL_DECIDE_LATE, 3, values, &e);

    free(named);
    if (!rows)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    int done = tell_rows(rows, carry);
    selection_tell_unknown(s, rows);
    if (!s->named && PQntuples(rows) == 0)
        puts("nothing is late that was not decided so before");
    else if (s->named || s->yes)
        printf(carry ? "carried %d submissions: the sink bills them in the current periods\n"
                     : "dropped %d submissions: they are never billed\n",
               done);
    int code = selection_code(s, PQntuples(rows), done);
    PQclear(rows);
    return code;
}

static int check_selection(const struct selection *s, bool all)
{
    if ((s->named != NULL) + (s->tenant != NULL) + all == 1)
        return 0;
    return ctl_fail(-1, "which ones? Say identifiers, or --tenant T, or --all");
}

static int run_decision(const struct ctl_config *config, int argc, char **argv, bool carry)
{
    struct selection s = {0};
    bool all = false;
    const struct args_option options[] = {{"--tenant", &s.tenant, NULL},
                                          {"--all", NULL, &all},
                                          {"--yes", NULL, &s.yes},
                                          {NULL, NULL, NULL}};
    struct err e;
    int plain = args_take(argc, argv, options);
    int code = CTL_USAGE;

    if (plain >= 0 && selection_name(&s, plain, argv) == 0 && check_selection(&s, all) == 0) {
        PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
        code = conn ? decide(conn, &s, carry) : ctl_fail(CTL_FAILED, "%s", e.text);
        PQfinish(conn);
    }
    selection_done(&s);
    return code;
}

int late_carry_run(const struct ctl_config *config, int argc, char **argv)
{
    return run_decision(config, argc, argv, true);
}

int late_drop_run(const struct ctl_config *config, int argc, char **argv)
{
    return run_decision(config, argc, argv, false);
}
