/* meterctl messages list, show and retry: what was to be told, by which way, and what became of it.
 */
#include "common/json_exact.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/db.h"
#include "ctl/names.h"
#include "ctl/report.h"
#include "ctl/sql.h"
#include "ctl/submissions/submissions.h"
#include "ctl/terminal/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_DEFAULT "50"

enum { LIST_MAX = 100000 };

static const struct {
    const char *name;
    const char *meaning;
} STATES[] = {{"waiting", "a notifier will send it: at next_attempt_at, if it was put off"},
              {"sent", "it was taken: it is in the stream, or mail server or receiver said yes"},
              {"failed",
               "it was refused for good, or tried for too long, as error says; once the cause is "
               "gone, `meterctl messages retry` has it sent again"}};

enum { STATES_COUNT = sizeof STATES / sizeof *STATES };

static const char *const CHANNELS[] = {"signal", "mail", "post", NULL};

static const struct table_column COLUMNS[] = {
    {"message_id", TABLE_NAME}, {"channel", TABLE_TEXT}, {"state", TABLE_TEXT},
    {"kind", TABLE_TEXT},       {"tenant", TABLE_NAME},  {"created_at", TABLE_TEXT},
    {"attempts", TABLE_NUMBER}, {"error", TABLE_NOTE},   {NULL, TABLE_TEXT}};
static const struct table_column WIDE[] = {
    {"message_id", TABLE_NAME},  {"channel", TABLE_TEXT},         {"state", TABLE_TEXT},
    {"kind", TABLE_TEXT},        {"tenant", TABLE_NAME},          {"destination", TABLE_NAME},
    {"occurred_at", TABLE_TEXT}, {"created_at", TABLE_TEXT},      {"sent_at", TABLE_TEXT},
    {"attempts", TABLE_NUMBER},  {"next_attempt_at", TABLE_TEXT}, {"error", TABLE_NOTE},
    {NULL, TABLE_TEXT}};

/* Which messages. Each may be NULL. */
struct filter {
    const char *state;
    const char *kind;
    const char *tenant;
    const char *channel;
    const char *since; /* as written */
    const char *before;
    char since_at[TIME_TEXT_SIZE];
    char before_at[TIME_TEXT_SIZE];
};

#define FILTER_OPTIONS(f)                                                                          \
    {"--state", &(f).state, NULL}, {"--kind", &(f).kind, NULL}, {"--tenant", &(f).tenant, NULL},   \
        {"--channel", &(f).channel, NULL}, {"--since", &(f).since, NULL},                          \
    {                                                                                              \
        "--before", &(f).before, NULL                                                              \
    }

static const char KIND_CHARS[] = "abcdefghijklmnopqrstuvwxyz_*";

static int check_words(const struct filter *f)
{
    if (f->kind && f->kind[strspn(f->kind, KIND_CHARS)])
        return ctl_fail(-1, "--kind must be such as payment_failed or 'payment_*', not %s",
                        f->kind);
    bool known = !f->state, way = !f->channel;
    for (int i = 0; f->state && i < STATES_COUNT; i++)
        known = known || strcmp(f->state, STATES[i].name) == 0;
    for (int i = 0; f->channel && CHANNELS[i]; i++)
        way = way || strcmp(f->channel, CHANNELS[i]) == 0;
    if (!known)
        return ctl_fail(-1, "--state must be one of waiting, sent, failed, not %s", f->state);
    return way ? 0
               : ctl_fail(-1, "--channel must be one of signal, mail, post, not %s", f->channel);
}

/* Times and names, by the database. Returns CTL_DONE, or the exit code after telling. */
static int read_filter(PGconn *conn, struct filter *f)
{
    int code = args_time(conn, "--since", f->since, f->since_at);
    if (code == CTL_DONE)
        code = args_time(conn, "--before", f->before, f->before_at);
    return code == CTL_DONE ? names_check(conn, f->tenant, NULL, CTL_FAILED) : code;
}

/* The data as JSON, for programs; a table has no room for it. */
static void parse_data(json_t *rows, bool json)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        const char *text = json_string_value(json_object_get(row, "data"));
        json_t *data = json ? json_exact_load(text, strlen(text)) : NULL;
        json_object_del(row, "data");
        if (data)
            json_object_set_new(row, "data", data);
    }
}

struct list {
    struct filter filter;
    const char *limit;
    bool json, wide;
};

static int list(PGconn *conn, void *owner)
{
    struct list *o = owner;
    struct filter *f = &o->filter;
    const struct table_view view = {.title = "messages, newest first",
                                    .none = "there are no such messages",
                                    .columns = o->wide ? WIDE : COLUMNS,
                                    .wide = o->wide};
    struct err e;
    int code = read_filter(conn, f);
    if (code != CTL_DONE)
        return code;
    const char *values[] = {f->state,
                            f->kind,
                            f->tenant,
                            f->channel,
                            args_or_null(f->since_at),
                            args_or_null(f->before_at),
                            NULL,
                            o->limit};
    json_t *rows = json_array();
    if (report_query(rows, conn, SQL_LIST_MESSAGES, 8, values, &e)) {
        code = ctl_fail_err(CTL_FAILED, &e);
    } else {
        parse_data(rows, o->json);
        table_show(rows, o->json, view);
    }
    json_decref(rows);
    return code;
}

int messages_list_run(const struct ctl_config *config, int argc, char **argv)
{
    struct list o = {.limit = LIST_DEFAULT};
    const struct args_option options[] = {FILTER_OPTIONS(o.filter),
                                          {"--limit", &o.limit, NULL},
                                          {"--json", NULL, &o.json},
                                          {"--wide", NULL, &o.wide},
                                          {NULL, NULL, NULL}};
    int64_t limit;
    if (args_parse_options(argc, argv, options) || check_words(&o.filter) ||
        args_whole("--limit", o.limit, 1, LIST_MAX, &limit))
        return CTL_USAGE;
    return ctl_with_database(config, CTL_FAILED, list, &o);
}

/* Each way that it goes, with what happens next. */
static void print_ways(json_t *rows, bool json)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        const char *state = json_string_value(json_object_get(row, "state"));
        for (int k = 0; k < STATES_COUNT; k++)
            if (strcmp(state, STATES[k].name) == 0)
                json_object_set_new(row, "meaning", json_string(STATES[k].meaning));
        if (json)
            continue;
        if (i > 0)
            puts("");
        report_print_entry(row);
    }
    if (json) {
        parse_data(rows, true);
        report_print_json(rows);
    }
}

struct show {
    const char *id;
    bool json;
};

static int show(PGconn *conn, void *owner)
{
    const struct show *s = owner;
    const char *values[] = {NULL, NULL, NULL, NULL, NULL, NULL, s->id, "3"};
    json_t *rows = json_array();
    struct err e;
    int code = CTL_DONE;
    if (report_query(rows, conn, SQL_LIST_MESSAGES, 8, values, &e))
        code = ctl_fail_err(CTL_FAILED, &e);
    else if (json_array_size(rows) == 0)
        code = ctl_fail(CTL_FAILED, "there is no message %s (see meterctl messages list)", s->id);
    else
        print_ways(rows, s->json);
    json_decref(rows);
    return code;
}

int messages_show_run(const struct ctl_config *config, int argc, char **argv)
{
    struct show s = {0};
    const struct args_option options[] = {{"--json", NULL, &s.json}, {NULL, NULL, NULL}};
    if (args_parse(argc, argv, options, 1, 1) < 0)
        return CTL_USAGE;
    s.id = argv[0];
    return ctl_with_database(config, CTL_FAILED, show, &s);
}

/* messages retry. */

struct retry {
    struct filter filter;
    struct selection selection;
};

enum { MESSAGE_ID, CHANNEL, STATE, DONE };

static int tell_rows(const PGresult *rows)
{
    int done = 0;
    for (int i = 0; i < PQntuples(rows); i++) {
        if (*db_text(rows, i, DONE) == 't')
            done++;
        else
            printf("skipped %s channel=%s state=%s msg=\"it was sent\"\n",
                   db_text(rows, i, MESSAGE_ID), db_text(rows, i, CHANNEL),
                   db_text(rows, i, STATE));
    }
    return done;
}

/* Returns how many of the named messages there are not. */
static int tell_unknown(const json_t *named, const PGresult *rows)
{
    int unknown = 0;
    for (size_t i = 0; i < json_array_size(named); i++) {
        const char *id = json_string_value(json_array_get(named, i));
        if (db_find(rows, MESSAGE_ID, id) < 0) {
            ctl_fail(CTL_FAILED, "there is no message %s (see meterctl messages list)", id);
            unknown++;
        }
    }
    return unknown;
}

static int tell_retried(const struct selection *s, const PGresult *rows)
{
    int found = PQntuples(rows);
    int done = tell_rows(rows);
    int unknown = tell_unknown(s->named, rows);
    if (!s->named && found == 0) {
        puts("no message that fits waits or has failed");
        return CTL_DONE;
    }
    if (!s->named && !s->yes && done > 0)
        return ctl_fail(CTL_FAILED,
                        "nothing was changed: run it again with --yes to have %d sent again", done);
    printf("retried %d%s\n", done, done ? ": a notifier sends them at once" : "");
    return unknown > 0 || (s->named && done == 0) ? CTL_FAILED : CTL_DONE;
}

static int retry(PGconn *conn, void *owner)
{
    struct retry *r = owner;
    struct filter *f = &r->filter;
    struct err e;
    int code = read_filter(conn, f);
    if (code != CTL_DONE)
        return code;
    char *named = r->selection.named ? json_dumps(r->selection.named, JSON_COMPACT) : NULL;
    const char *values[] = {named,
                            f->state,
                            f->kind,
                            f->tenant,
                            f->channel,
                            args_or_null(f->since_at),
                            args_or_null(f->before_at)};
    PGresult *rows = selection_run(&r->selection, conn, SQL_RETRY_MESSAGES, 7, values, &e);
    free(named);
    if (!rows)
        return ctl_fail_err(CTL_FAILED, &e);
    code = tell_retried(&r->selection, rows);
    PQclear(rows);
    return code;
}

static int check_retry(const struct retry *r)
{
    const struct filter *f = &r->filter;
    bool filtered = f->state || f->kind || f->tenant || f->channel || f->since || f->before;
    if ((r->selection.named != NULL) == filtered)
        return ctl_fail(-1, "either message ids or a filter, such as --state failed, is required, "
                            "to say which messages");
    if (f->state && strcmp(f->state, "sent") == 0)
        return ctl_fail(-1, "what was sent is not sent again: --state must be failed or waiting");
    return check_words(f);
}

int messages_retry_run(const struct ctl_config *config, int argc, char **argv)
{
    struct retry r = {0};
    const struct args_option options[] = {
        FILTER_OPTIONS(r.filter), {"--yes", NULL, &r.selection.yes}, {NULL, NULL, NULL}};
    int plain = args_parse(argc, argv, options, 0, argc);
    int code = CTL_USAGE;
    if (plain >= 0 && selection_parse(&r.selection, plain, argv) == 0 && check_retry(&r) == 0)
        code = ctl_with_database(config, CTL_FAILED, retry, &r);
    selection_done(&r.selection);
    return code;
}
