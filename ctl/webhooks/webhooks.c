/* meterctl webhooks list, show and replay: what Stripe sent, and what became of it. */
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
} STATES[] = {
    {"received", "webhookd will work it: at next_attempt_at, if it was put off"},
    {"processed", "its effect is in the database"},
    {"ignored", "it has no effect, as error says; `meterctl webhooks replay` has it worked again"},
    {"failed", "it could not be worked, as error says; once the cause is gone, `meterctl webhooks "
               "replay` has it worked again"}};

enum { STATES_COUNT = sizeof STATES / sizeof *STATES };

static const struct table_column COLUMNS[] = {
    {"event_id", TABLE_NAME},   {"state", TABLE_TEXT},  {"type", TABLE_TEXT},
    {"tenant", TABLE_NAME},     {"object", TABLE_NAME}, {"received_at", TABLE_TEXT},
    {"attempts", TABLE_NUMBER}, {"error", TABLE_NOTE},  {NULL, TABLE_TEXT}};
static const struct table_column WIDE[] = {
    {"event_id", TABLE_NAME},   {"state", TABLE_TEXT},           {"type", TABLE_TEXT},
    {"tenant", TABLE_NAME},     {"customer", TABLE_NAME},        {"object", TABLE_NAME},
    {"created_at", TABLE_TEXT}, {"received_at", TABLE_TEXT},     {"processed_at", TABLE_TEXT},
    {"attempts", TABLE_NUMBER}, {"next_attempt_at", TABLE_TEXT}, {"error", TABLE_NOTE},
    {NULL, TABLE_TEXT}};

/* Which events. Each may be NULL. */
struct filter {
    const char *state;
    const char *type;
    const char *tenant;
    const char *customer;
    const char *since; /* as written */
    const char *before;
    char since_at[TIME_TEXT_SIZE];
    char before_at[TIME_TEXT_SIZE];
};

#define FILTER_OPTIONS(f)                                                                          \
    {"--state", &(f).state, NULL}, {"--type", &(f).type, NULL}, {"--tenant", &(f).tenant, NULL},   \
        {"--customer", &(f).customer, NULL}, {"--since", &(f).since, NULL},                        \
    {                                                                                              \
        "--before", &(f).before, NULL                                                              \
    }

static int check_state(const char *state)
{
    for (int i = 0; i < STATES_COUNT; i++)
        if (!state || strcmp(state, STATES[i].name) == 0)
            return 0;
    return ctl_fail(-1, "--state must be one of received, processed, ignored, failed, not %s",
                    state);
}

static const char TYPE_CHARS[] = "abcdefghijklmnopqrstuvwxyz0123456789_.*";

static int check_words(const struct filter *f)
{
    if (f->type && f->type[strspn(f->type, TYPE_CHARS)])
        return ctl_fail(-1, "--type must be such as invoice.paid or 'invoice.*', not %s", f->type);
    if (f->customer && strncmp(f->customer, "cus_", 4) != 0)
        return ctl_fail(-1, "--customer must be the customer's id at Stripe, cus_…, not %s",
                        f->customer);
    return check_state(f->state);
}

/* Times and names, by the database. Returns CTL_DONE, or the exit code after telling. */
static int read_filter(PGconn *conn, struct filter *f)
{
    int code = args_time(conn, "--since", f->since, f->since_at);
    if (code == CTL_DONE)
        code = args_time(conn, "--before", f->before, f->before_at);
    return code == CTL_DONE ? names_check(conn, f->tenant, NULL, CTL_FAILED) : code;
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
    const struct table_view view = {.title = "webhook events, newest first",
                                    .none = "there are no such events",
                                    .columns = o->wide ? WIDE : COLUMNS,
                                    .wide = o->wide};
    struct err e;
    int code = read_filter(conn, f);
    if (code != CTL_DONE)
        return code;
    const char *values[] = {f->state,
                            f->type,
                            f->tenant,
                            f->customer,
                            args_or_null(f->since_at),
                            args_or_null(f->before_at),
                            NULL,
                            o->limit};
    json_t *rows = json_array();
    if (report_query(rows, conn, SQL_LIST_WEBHOOKS, 8, values, &e)) {
        code = ctl_fail_err(CTL_FAILED, &e);
    } else {
        for (size_t i = 0; i < json_array_size(rows); i++)
            json_object_del(json_array_get(rows, i), "payload");
        table_show(rows, o->json, view);
    }
    json_decref(rows);
    return code;
}

int webhooks_list_run(const struct ctl_config *config, int argc, char **argv)
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

/* With what happens next, and its body last: as JSON where it can be read as such. */
static void print_one(json_t *row, bool json)
{
    const char *state = json_string_value(json_object_get(row, "state"));
    json_t *payload = json_incref(json_object_get(row, "payload"));
    json_t *parsed = json ? json_loads(json_string_value(payload), 0, NULL) : NULL;
    for (int i = 0; i < STATES_COUNT; i++)
        if (strcmp(state, STATES[i].name) == 0)
            json_object_set_new(row, "meaning", json_string(STATES[i].meaning));
    json_object_del(row, "payload");
    if (json)
        json_object_set(row, "payload", parsed ? parsed : payload);
    (json ? report_print_json : report_print_entry)(row);
    if (!json && payload)
        printf("\n%s\n", json_string_value(payload));
    json_decref(parsed);
    json_decref(payload);
}

struct show {
    const char *id;
    bool json;
};

static int show(PGconn *conn, void *owner)
{
    const struct show *s = owner;
    const char *values[] = {NULL, NULL, NULL, NULL, NULL, NULL, s->id, "1"};
    json_t *rows = json_array();
    struct err e;
    int code = CTL_DONE;
    if (report_query(rows, conn, SQL_LIST_WEBHOOKS, 8, values, &e))
        code = ctl_fail_err(CTL_FAILED, &e);
    else if (json_array_size(rows) == 0)
        code = ctl_fail(CTL_FAILED, "there is no webhook event %s (see meterctl webhooks list)",
                        s->id);
    else
        print_one(json_array_get(rows, 0), s->json);
    json_decref(rows);
    return code;
}

int webhooks_show_run(const struct ctl_config *config, int argc, char **argv)
{
    struct show s = {0};
    const struct args_option options[] = {{"--json", NULL, &s.json}, {NULL, NULL, NULL}};
    if (args_parse(argc, argv, options, 1, 1) < 0)
        return CTL_USAGE;
    s.id = argv[0];
    return ctl_with_database(config, CTL_FAILED, show, &s);
}

/* webhooks replay. */

struct replay {
    struct filter filter;
    struct selection selection;
};

enum { EVENT_ID, STATE, HAS_PAYLOAD, DONE };

static int tell_rows(const PGresult *rows)
{
    int done = 0;
    for (int i = 0; i < PQntuples(rows); i++) {
        if (*db_text(rows, i, DONE) == 't')
            done++;
        else
            printf("skipped %s state=%s msg=\"%s\"\n", db_text(rows, i, EVENT_ID),
                   db_text(rows, i, STATE),
                   *db_text(rows, i, HAS_PAYLOAD) == 't'
                       ? "only events that failed or were ignored can be worked again"
                       : "its body is past its keep: have Stripe send it again");
    }
    return done;
}

/* Returns how many of the named events there are not. */
static int tell_unknown(const json_t *named, const PGresult *rows)
{
    int unknown = 0;
    for (size_t i = 0; i < json_array_size(named); i++) {
        const char *id = json_string_value(json_array_get(named, i));
        if (db_find(rows, EVENT_ID, id) < 0) {
            ctl_fail(CTL_FAILED, "there is no webhook event %s (see meterctl webhooks list)", id);
            unknown++;
        }
    }
    return unknown;
}

static int tell_replayed(const struct selection *s, const PGresult *rows)
{
    int found = PQntuples(rows);
    int done = tell_rows(rows);
    int unknown = tell_unknown(s->named, rows);
    if (!s->named && found == 0) {
        puts("no event failed or was ignored that fits");
        return CTL_DONE;
    }
    if (!s->named && !s->yes && done > 0)
        return ctl_fail(CTL_FAILED,
                        "nothing was changed: run it again with --yes to have %d events worked "
                        "again",
                        done);
    printf("replayed %d events%s\n", done, done ? ": webhookd works them within a second" : "");
    return s->named && (done < found || unknown > 0) ? CTL_FAILED : CTL_DONE;
}

static int replay(PGconn *conn, void *owner)
{
    struct replay *r = owner;
    struct filter *f = &r->filter;
    struct err e;
    int code = read_filter(conn, f);
    if (code != CTL_DONE)
        return code;
    char *named = r->selection.named ? json_dumps(r->selection.named, JSON_COMPACT) : NULL;
    const char *values[] = {named,
                            f->state,
                            f->type,
                            f->tenant,
                            f->customer,
                            args_or_null(f->since_at),
                            args_or_null(f->before_at)};
    PGresult *rows = selection_run(&r->selection, conn, SQL_REPLAY_WEBHOOKS, 7, values, &e);
    free(named);
    if (!rows)
        return ctl_fail_err(CTL_FAILED, &e);
    code = tell_replayed(&r->selection, rows);
    PQclear(rows);
    return code;
}

static int check_replay(const struct replay *r)
{
    const struct filter *f = &r->filter;
    bool filtered = f->state || f->type || f->tenant || f->customer || f->since || f->before;
    if ((r->selection.named != NULL) == filtered)
        return ctl_fail(-1, "either event ids or a filter, such as --state failed, is required, to "
                            "say which events");
    if (f->state && strcmp(f->state, "failed") != 0 && strcmp(f->state, "ignored") != 0)
        return ctl_fail(-1,
                        "only failed and ignored events can be worked again: --state must be "
                        "one of them, not %s",
                        f->state);
    return check_words(f);
}

int webhooks_replay_run(const struct ctl_config *config, int argc, char **argv)
{
    struct replay r = {0};
    const struct args_option options[] = {
        FILTER_OPTIONS(r.filter), {"--yes", NULL, &r.selection.yes}, {NULL, NULL, NULL}};
    int plain = args_parse(argc, argv, options, 0, argc);
    int code = CTL_USAGE;
    if (plain >= 0 && selection_parse(&r.selection, plain, argv) == 0 && check_replay(&r) == 0)
        code = ctl_with_database(config, CTL_FAILED, replay, &r);
    selection_done(&r.selection);
    return code;
}
