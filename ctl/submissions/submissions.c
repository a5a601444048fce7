/* meterctl submissions list, show and retry: what was handed to Stripe, and what became of it.
 *
 * retry gives back what Stripe refused, so that its quantity is claimed anew, under another
 * identifier and in another minute. Nothing that Stripe may hold is given back: that would bill it
 * twice. */
#include "ctl/submissions/submissions.h"

#include "common/str.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/names.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct submission_state SUBMISSION_STATES[] = {
    {"pending", "the sink will send it"},
    {"sending", "the sink is sending it"},
    {"sent", "Stripe has it"},
    {"held", "the sink holds it back: last_error says why"},
    {"failed", "`meterctl submissions retry` submits its quantity again"},
    {"in_doubt",
     "nobody knows whether Stripe has it; reconciliation finds out: see `meterctl reconcile`"},
    {"late", "its invoice is final, or it is too old for Stripe: decide by `meterctl late carry` "
             "or `late drop`"},
    {"void", "it is not billed: its quantity is claimed anew in another submission"},
    {NULL, NULL}};

const char *submission_meaning(const char *state)
{
    const struct submission_state *s = SUBMISSION_STATES;
    while (s->name && strcmp(s->name, state) != 0)
        s++;
    assert(s->name);
    return s->meaning;
}

#define LIST_DEFAULT "50"

enum { LIST_MAX = 1000000 };

static const struct table_column COLUMNS[] = {
    {"identifier", TABLE_NAME}, {"state", TABLE_TEXT},      {"tenant", TABLE_NAME},
    {"metric", TABLE_NAME},     {"quantity", TABLE_NUMBER}, {"usage_at", TABLE_TEXT},
    {"attempts", TABLE_NUMBER}, {"request_id", TABLE_NAME}, {"decision", TABLE_TEXT},
    {"last_error", TABLE_NOTE}, {NULL, TABLE_TEXT}};

struct list_options {
    const char *state;
    const char *tenant;
    const char *metric;
    const char *period;
    const char *since;
    const char *limit;
    bool json;
    bool wide;
};

static int check_state(const char *state)
{
    struct buf list = {0};
    for (const struct submission_state *s = SUBMISSION_STATES; s->name; s++) {
        if (!state || strcmp(state, s->name) == 0) {
            buf_done(&list);
            return 0;
        }
        buf_printf(&list, "%s%s", list.length == 0 ? "" : ", ", s->name);
    }
    ctl_fail(-1, "--state must be one of %s, not %s", list.data, state);
    buf_done(&list);
    return -1;
}

int submissions_print(PGconn *conn, const char *const values[7], bool bodies, bool json,
                      struct table_view view)
{
    json_t *rows = json_array();
    struct err e;
    int code = CTL_DONE;
    if (report_query(rows, conn, SQL_LIST_SUBMISSIONS, 7, values, &e)) {
        code = ctl_fail_err(CTL_FAILED, &e);
    } else {
        for (size_t i = 0; !bodies && i < json_array_size(rows); i++)
            json_object_del(json_array_get(rows, i), "body");
        table_show(rows, json, view);
    }
    json_decref(rows);
    return code;
}

static int list(PGconn *conn, void *owner)
{
    const struct list_options *o = owner;
    const struct table_view view = {"submissions, newest first", "there are no such submissions",
                                    COLUMNS, o->wide};
    char period[TIME_TEXT_SIZE], since[TIME_TEXT_SIZE];
    int code = args_period(conn, o->period, period);
    if (code == CTL_DONE)
        code = args_time(conn, "--since", o->since, since);
    if (code == CTL_DONE)
        code = names_check(conn, o->tenant, o->metric, CTL_FAILED);
    if (code != CTL_DONE)
        return code;
    const char *values[] = {
        o->state, o->tenant, o->metric, args_or_null(period), args_or_null(since), NULL, o->limit};
    return submissions_print(conn, values, false, o->json, view);
}

int submissions_list_run(const struct ctl_config *config, int argc, char **argv)
{
    struct list_options o = {.limit = LIST_DEFAULT};
    const struct args_option options[] = {
        {"--state", &o.state, NULL},   {"--tenant", &o.tenant, NULL}, {"--metric", &o.metric, NULL},
        {"--period", &o.period, NULL}, {"--since", &o.since, NULL},   {"--limit", &o.limit, NULL},
        {"--json", NULL, &o.json},     {"--wide", NULL, &o.wide},     {NULL, NULL, NULL}};
    int64_t limit;
    if (args_parse_options(argc, argv, options) || check_state(o.state) ||
        args_whole("--limit", o.limit, 1, LIST_MAX, &limit))
        return CTL_USAGE;
    return ctl_with_database(config, CTL_FAILED, list, &o);
}

static void print_one(json_t *row, bool json)
{
    const char *state = json_string_value(json_object_get(row, "state"));
    json_object_set_new(row, "meaning", json_string(submission_meaning(state)));
    (json ? report_print_json : report_print_entry)(row);
}

struct show {
    const char *identifier;
    bool json;
};

static int show(PGconn *conn, void *owner)
{
    const struct show *s = owner;
    const char *values[] = {NULL, NULL, NULL, NULL, NULL, s->identifier, "1"};
    json_t *rows = json_array();
    struct err e;
    int code = CTL_DONE;
    if (report_query(rows, conn, SQL_LIST_SUBMISSIONS, 7, values, &e))
        code = ctl_fail_err(CTL_FAILED, &e);
    else if (json_array_size(rows) == 0)
        code = ctl_fail(CTL_FAILED, "there is no submission %s (see meterctl submissions list)",
                        s->identifier);
    else
        print_one(json_array_get(rows, 0), s->json);
    json_decref(rows);
    return code;
}

int submissions_show_run(const struct ctl_config *config, int argc, char **argv)
{
    struct show s = {0};
    const struct args_option options[] = {{"--json", NULL, &s.json}, {NULL, NULL, NULL}};
    if (args_parse(argc, argv, options, 1, 1) < 0)
        return CTL_USAGE;
    s.identifier = argv[0];
    return ctl_with_database(config, CTL_FAILED, show, &s);
}

/* What late and retry share. */

void selection_tell_unknown(const struct selection *s, const PGresult *rows)
{
    for (size_t i = 0; i < json_array_size(s->named); i++) {
        const char *identifier = json_string_value(json_array_get(s->named, i));
        if (db_find(rows, 0, identifier) < 0)
            ctl_fail(CTL_FAILED, "there is no submission %s (see meterctl submissions list)",
                     identifier);
    }
}

int selection_code(const struct selection *s, int found, int done)
{
    if (s->named)
        return (size_t)done < json_array_size(s->named) ? CTL_FAILED : CTL_DONE;
    if (s->yes || done == 0)
        return CTL_DONE;
    return ctl_fail(
        CTL_FAILED,
        "nothing was changed: run it again with --yes to change %d of these %d submissions", done,
        found);
}

/* meterctl submissions retry. */

enum { IDENTIFIER, STATE, QUANTITY, DOUBT_QUANTITY, DONE };

struct retry_options {
    struct selection selection;
    const char *state;
    bool anyway;
};

static void tell_skipped(const PGresult *rows, int row)
{
    const char *state = db_text(rows, row, STATE);
    printf("skipped %s state=%s msg=\"", db_text(rows, row, IDENTIFIER), state);
    if (strcmp(state, "failed") == 0)
        printf("Stripe may hold %s of its minute, which would then be billed twice (--anyway "
               "retries it all the same)\"\n",
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

static int retry(PGconn *conn, void *owner)
{
    const struct retry_options *o = owner;
    const struct selection *s = &o->selection;
    struct err e;
    int unknown = names_check(conn, s->tenant, NULL, CTL_FAILED);
    if (unknown)
        return unknown;
    char *named = s->named ? json_dumps(s->named, JSON_COMPACT) : NULL;
    const char *values[] = {named, s->tenant, o->anyway ? "true" : "false"};
    PGresult *rows = selection_run(s, conn, SQL_RETRY_SUBMISSIONS, 3, values, &e);
    free(named);
    if (!rows)
        return ctl_fail_err(CTL_FAILED, &e);
    int done = tell_rows(rows);
    selection_tell_unknown(s, rows);
    if (!s->named && PQntuples(rows) == 0)
        puts("no submission has failed");
    else if (s->named || s->yes)
        printf("retried %d submissions%s\n", done,
               done ? ": the sink submits their quantities again, under new identifiers" : "");
    int code = selection_code(s, PQntuples(rows), done);
    PQclear(rows);
    return code;
}

static int check_retry(const struct retry_options *o)
{
    const struct selection *s = &o->selection;
    if (o->state && strcmp(o->state, "failed") != 0)
        return ctl_fail(
            -1, "only failed submissions can be retried: --state must be failed, not %s", o->state);
    if (s->named ? o->state || s->tenant : !o->state)
        return ctl_fail(-1, "either identifiers, or --state failed (and --tenant T) is required, "
                            "to say which submissions");
    return 0;
}

int submissions_retry_run(const struct ctl_config *config, int argc, char **argv)
{
    struct retry_options o = {0};
    const struct args_option options[] = {{"--state", &o.state, NULL},
                                          {"--tenant", &o.selection.tenant, NULL},
                                          {"--anyway", NULL, &o.anyway},
                                          {"--yes", NULL, &o.selection.yes},
                                          {NULL, NULL, NULL}};
    int plain = args_parse(argc, argv, options, 0, argc);
    int code = CTL_USAGE;
    if (plain >= 0 && selection_parse(&o.selection, plain, argv) == 0 && check_retry(&o) == 0)
        code = ctl_with_database(config, CTL_FAILED, retry, &o);
    selection_done(&o.selection);
    return code;
}
