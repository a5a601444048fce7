/* meterctl submissions retry: what Stripe refused is given back, so that its quantity is claimed
 * anew, under another identifier and in another minute. Nothing that Stripe may hold is: that would
 * bill it twice. */
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/known.h"
#include "ctl/selection.h"
#include "ctl/sql.h"
#include "ctl/submissions/submissions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IDENTIFIER, STATE, QUANTITY, DOUBT_QUANTITY, DONE };

struct options {
    struct selection selection;
    const char *state;
    bool anyway;
};

static void tell_skipped(const PGresult *rows, int row)
{
    const char *state = db_text(rows, row, STATE);

    printf("skipped %s state=%s msg=\"", db_text(rows, row, IDENTIFIER), state);
    if (strcmp(state, "failed") == 0)
        printf("Stripe may hold %s of its minute: claimed anew, that would be billed twice "
               "(--anyway)\"\n",
               db_text(rows, row, DOUBT_QUANTITY));
    else
        printf("%s\"\n", submission_meaning(state));
}

static int tell_rows(const PGresult *rows)
{
    int done = 0;

    for (int i = 0; i < PQntuples(rows); i++) {
        if (*db_text(rows, i, DONE) == 't')
            done++;
        else
            tell_skipped(rows, i);
    }
    return done;
}

static int retry(PGconn *conn, const struct options *o)
{
    const struct selection *s = &o->selection;
    struct err e;
    int unknown = known_check(conn, s->tenant, NULL, CTL_FAILED);

    if (unknown)
        return unknown;
    char *named = s->named ? json_dumps(s->named, JSON_COMPACT) : NULL;
    const char *values[] = {named, s->tenant, o->anyway ? "true" : "false"};
    PGresult *rows = selection_run(s, conn, SQL_RETRY_SUBMISSIONS, 3, values, &e);

    free(named);
    if (!rows)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    int done = tell_rows(rows);
    selection_tell_unknown(s, rows);
    if (!s->named && PQntuples(rows) == 0)
        puts("nothing has failed");
    else if (s->named || s->yes)
        printf("retried %d submissions: the sink claims their quantities anew, under new "
               "identifiers\n",
               done);
    int code = selection_code(s, PQntuples(rows), done);
    PQclear(rows);
    return code;
}

static int check_options(const struct options *o)
{
    const struct selection *s = &o->selection;

    if (o->state && strcmp(o->state, "failed") != 0)
        return ctl_fail(-1, "only what failed is retried by hand, not --state %s", o->state);
    if (s->named ? o->state || s->tenant : !o->state)
        return ctl_fail(-1, "which ones? Say identifiers, or --state failed [--tenant T]");
    return 0;
}

int submissions_retry_run(const struct ctl_config *config, int argc, char **argv)
{
    struct options o = {0};
    const struct args_option options[] = {{"--state", &o.state, NULL},
                                          {"--tenant", &o.selection.tenant, NULL},
                                          {"--anyway", NULL, &o.anyway},
                                          {"--yes", NULL, &o.selection.yes},
                                          {NULL, NULL, NULL}};
    struct err e;
    int plain = args_take(argc, argv, options);
    int code = CTL_USAGE;

    if (plain >= 0 && selection_name(&o.selection, plain, argv) == 0 && check_options(&o) == 0) {
        PGconn *conn = db_open(config->base.database_url, CTL_ROLE, &e);
        code = conn ? retry(conn, &o) : ctl_fail(CTL_FAILED, "%s", e.text);
        PQfinish(conn);
    }
    selection_done(&o.selection);
    return code;
}
