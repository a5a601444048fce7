/* meterctl late: usage that came too late for its invoice, or for Stripe. A person decides: carried
 * over, the sink bills it in the tenant's current period; dropped, it is never billed, and stays
 * visible as that. */
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/names.h"
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

struct list_options {
    const char *tenant;
    bool json, wide;
};

static int list(PGconn *conn, void *owner)
{
    const struct list_options *o = owner;
    const char *values[] = {"late", o->tenant, NULL, NULL, NULL, NULL, NULL};
    const struct table_view view = {
        "late, newest first; to decide: `meterctl late carry` or `late drop`", "nothing is late",
        COLUMNS, o->wide};
    int code = names_check(conn, o->tenant, NULL, CTL_FAILED);
    return code == CTL_DONE ? submissions_print(conn, values, true, o->json, view) : code;
}

int late_list_run(const struct ctl_config *config, int argc, char **argv)
{
    struct list_options o = {0};
    const struct args_option options[] = {{"--tenant", &o.tenant, NULL},
                                          {"--json", NULL, &o.json},
                                          {"--wide", NULL, &o.wide},
                                          {NULL, NULL, NULL}};
    return args_parse_options(argc, argv, options)
               ? CTL_USAGE
               : ctl_with_database(config, CTL_FAILED, list, &o);
}

static void tell_skipped(const PGresult *rows, int row, bool carry)
{
    const char *identifier = db_text(rows, row, IDENTIFIER);
    const char *state = db_text(rows, row, STATE);
    if (strcmp(state, "late") != 0)
        printf("skipped %s state=%s msg=\"it is not late: %s\"\n", identifier, state,
               submission_meaning(state));
    else if (carry && *db_text(rows, row, REPLACES) == 't')
        printf("skipped %s msg=\"a value of %s would replace the current one of another period: "
               "use `meterctl late drop`\"\n",
               identifier, db_text(rows, row, METRIC));
    else
        printf("skipped %s msg=\"this was already decided\"\n", identifier);
}

static int tell_rows(const PGresult *rows, bool carry)
{
    int done = 0;
    for (int i = 0; i < PQntuples(rows); i++) {
        bool is_done = *db_text(rows, i, DONE) == 't';
        done += is_done;
        if (!is_done)
            tell_skipped(rows, i, carry);
        else if (carry && *db_text(rows, i, SUBSCRIBED) == 'f')
            printf("warning: tenant %s has no subscription now, so there is no invoice that %s "
                   "could be added to\n",
                   db_text(rows, i, TENANT), db_text(rows, i, IDENTIFIER));
    }
    return done;
}

struct decision {
    struct selection selection;
    bool all;
    bool carry; /* else drop */
};

static int decide(PGconn *conn, void *owner)
{
    const struct decision *d = owner;
    const struct selection *s = &d->selection;
    struct err e;
    int unknown = names_check(conn, s->tenant, NULL, CTL_FAILED);
    if (unknown)
        return unknown;
    char *named = s->named ? json_dumps(s->named, JSON_COMPACT) : NULL;
    const char *values[] = {d->carry ? "carry" : "drop", named, s->tenant};
    PGresult *rows = selection_run(s, conn, SQL_DECIDE_LATE, 3, values, &e);
    free(named);
    if (!rows)
        return ctl_fail_err(CTL_FAILED, &e);
    int done = tell_rows(rows, d->carry);
    selection_tell_unknown(s, rows);
    if (!s->named && PQntuples(rows) == 0)
        puts("nothing late is left to decide on");
    else if (s->named || s->yes)
        printf("%s %d submissions%s\n", d->carry ? "carried" : "dropped", done,
               !done      ? ""
               : d->carry ? ": the sink bills them in the current periods"
                          : ": they are never billed");
    int code = selection_code(s, PQntuples(rows), done);
    PQclear(rows);
    return code;
}

static int check_selection(const struct decision *d)
{
    const struct selection *s = &d->selection;
    if ((s->named != NULL) + (s->tenant != NULL) + d->all == 1)
        return 0;
    return ctl_fail(
        -1, "either identifiers, or --tenant T, or --all is required, to say which submissions");
}

static int run_decision(const struct ctl_config *config, int argc, char **argv, bool carry)
{
    struct decision d = {.carry = carry};
    const struct args_option options[] = {{"--tenant", &d.selection.tenant, NULL},
                                          {"--all", NULL, &d.all},
                                          {"--yes", NULL, &d.selection.yes},
                                          {NULL, NULL, NULL}};
    int plain = args_parse(argc, argv, options, 0, argc);
    int code = CTL_USAGE;
    if (plain >= 0 && selection_parse(&d.selection, plain, argv) == 0 && check_selection(&d) == 0)
        code = ctl_with_database(config, CTL_FAILED, decide, &d);
    selection_done(&d.selection);
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
