#include "ctl/records.h"

#include "common/json_exact.h"
#include "common/str.h"
#include "ctl/args.h"
#include "ctl/db.h"
#include "ctl/names.h"
#include "ctl/report.h"
#include "ctl/selection.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_DEFAULT "50"

enum { LIST_MAX = 100000, ID = 0, TENANT = 1 /* of the filters */ };
enum { LIST_VALUES = RECORD_FILTERS + 5, REDO_VALUES = RECORD_FILTERS + 4 };

/* Which rows. Each may be NULL. */
struct filter {
    const char *state;
    const char *values[RECORD_FILTERS];
    const char *since; /* as written */
    const char *before;
    char since_at[TIME_TEXT_SIZE];
    char before_at[TIME_TEXT_SIZE];
};

struct request {
    const struct record_kind *kind;
    struct filter filter;
    const char *limit;
    const char *id; /* of the one to show */
    bool json, wide;
    struct selection selection; /* of those to work again */
};

#define FILTER_OPTIONS(r)                                                                          \
    {"--state", &(r).filter.state, NULL}, {(r).kind->filters[0], &(r).filter.values[0], NULL},     \
        {(r).kind->filters[1], &(r).filter.values[1], NULL},                                       \
        {(r).kind->filters[2], &(r).filter.values[2], NULL}, {"--since", &(r).filter.since, NULL}, \
    {                                                                                              \
        "--before", &(r).filter.before, NULL                                                       \
    }

static const struct record_state *find_state(const struct record_kind *kind, const char *name)
{
    const struct record_state *s = kind->states;
    while (s->name && strcmp(s->name, name) != 0)
        s++;
    return s->name ? s : NULL;
}

static int check_state(const struct record_kind *kind, const char *state)
{
    struct buf all = {0};
    if (!state || find_state(kind, state))
        return 0;
    for (const struct record_state *s = kind->states; s->name; s++)
        buf_printf(&all, "%s%s", all.length == 0 ? "" : ", ", s->name);
    ctl_fail(-1, "--state must be one of %s, not %s", all.data, state);
    buf_done(&all);
    return -1;
}

static int check_filter(const struct request *r)
{
    if (check_state(r->kind, r->filter.state))
        return -1;
    return r->kind->check ? r->kind->check(r->filter.values) : 0;
}

/* Times and names, by the database. Returns CTL_DONE, or the exit code after telling. */
static int read_filter(PGconn *conn, struct filter *f)
{
    int code = args_time(conn, "--since", f->since, f->since_at);
    if (code == CTL_DONE)
        code = args_time(conn, "--before", f->before, f->before_at);
    return code == CTL_DONE ? names_check(conn, f->values[TENANT], NULL, CTL_FAILED) : code;
}

/* Appends state, filters and times to values. */
static void add_filter(const struct filter *f, const char **values)
{
    *values++ = f->state;
    for (int i = 0; i < RECORD_FILTERS; i++)
        *values++ = f->values[i];
    *values++ = args_or_null(f->since_at);
    *values = args_or_null(f->before_at);
}

/* Returns the rows, or NULL after telling. */
static json_t *read_rows(PGconn *conn, const struct request *r, const char *limit)
{
    const char *values[LIST_VALUES] = {0};
    json_t *rows = json_array();
    struct err e;
    add_filter(&r->filter, values);
    values[LIST_VALUES - 2] = r->id;
    values[LIST_VALUES - 1] = limit;
    if (report_query(rows, conn, r->kind->list_sql, LIST_VALUES, values, &e) == 0)
        return rows;
    ctl_fail_err(CTL_FAILED, &e);
    json_decref(rows);
    return NULL;
}

/* JSON with its numbers to the letter; what is none stays text. */
static void finish_body(json_t *row, const char *body, bool is_wanted)
{
    const char *text = json_string_value(json_object_get(row, body));
    json_t *parsed = text && is_wanted ? json_exact_load(text, strlen(text)) : NULL;
    if (parsed)
        json_object_set_new(row, body, parsed);
    else if (!is_wanted)
        json_object_del(row, body);
}

static int list(PGconn *conn, void *owner)
{
    struct request *r = owner;
    struct table_view view = r->kind->view;
    int code = read_filter(conn, &r->filter);
    if (code != CTL_DONE)
        return code;
    json_t *rows = read_rows(conn, r, r->limit);
    if (!rows)
        return CTL_FAILED;
    for (size_t i = 0; i < json_array_size(rows); i++)
        finish_body(json_array_get(rows, i), r->kind->body, r->json && r->kind->lists_bodies);
    view.columns = r->wide ? r->kind->wide : view.columns;
    view.wide = r->wide;
    table_show(rows, r->json, view);
    json_decref(rows);
    return CTL_DONE;
}

int records_list(const struct record_kind *kind, const struct ctl_config *config, int argc,
                 char **argv)
{
    struct request r = {.kind = kind, .limit = LIST_DEFAULT};
    const struct args_option options[] = {FILTER_OPTIONS(r),
                                          {"--limit", &r.limit, NULL},
                                          {"--json", NULL, &r.json},
                                          {"--wide", NULL, &r.wide},
                                          {NULL, NULL, NULL}};
    int64_t limit;
    if (args_parse_options(argc, argv, options) || check_filter(&r) ||
        args_whole("--limit", r.limit, 1, LIST_MAX, &limit))
        return CTL_USAGE;
    return ctl_with_database(config, CTL_FAILED, list, &r);
}

/* Showing. */

static void print_entry(json_t *row, const char *body)
{
    json_t *text = json_incref(json_object_get(row, body));
    json_object_del(row, body);
    report_print_entry(row);
    if (text)
        printf("\n%s\n", json_string_value(text));
    json_decref(text);
}

/* Each with what happens next. */
static void print_rows(const struct request *r, json_t *rows)
{
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *row = json_array_get(rows, i);
        const char *state = json_string_value(json_object_get(row, "state"));
        json_object_set_new(row, "meaning", json_string(find_state(r->kind, state)->meaning));
        if (r->json) {
            finish_body(row, r->kind->body, true);
        } else {
            printf("%s", i > 0 ? "\n" : "");
            print_entry(row, r->kind->body);
        }
    }
    if (r->json)
        report_print_json(r->kind->has_ways ? rows : json_array_get(rows, 0));
}

static int show(PGconn *conn, void *owner)
{
    const struct request *r = owner;
    json_t *rows = read_rows(conn, r, NULL);
    int code = rows ? CTL_DONE : CTL_FAILED;
    if (rows && json_array_size(rows) == 0)
        code = ctl_fail(CTL_FAILED, "there is no %s %s (see meterctl %s list)", r->kind->one, r->id,
                        r->kind->command);
    else if (rows)
        print_rows(r, rows);
    json_decref(rows);
    return code;
}

int records_show(const struct record_kind *kind, const struct ctl_config *config, int argc,
                 char **argv)
{
    struct request r = {.kind = kind};
    const struct args_option options[] = {{"--json", NULL, &r.json}, {NULL, NULL, NULL}};
    if (args_parse(argc, argv, options, 1, 1) < 0)
        return CTL_USAGE;
    r.id = argv[0];
    return ctl_with_database(config, CTL_FAILED, show, &r);
}

/* Having them worked again. */

static bool is_done(const PGresult *rows, int row)
{
    return *db_text(rows, row, PQfnumber(rows, "done")) == 't';
}

/* Returns how many were done. */
static int tell_rows(const struct record_kind *kind, const PGresult *rows)
{
    int done = 0;
    for (int i = 0; i < PQntuples(rows); i++) {
        if (is_done(rows, i))
            done++;
        else
            kind->tell_skipped(rows, i);
    }
    return done;
}

/* Whether each that was named is there and has a row that was done. */
static bool tell_named(const struct request *r, const PGresult *rows)
{
    bool all_done = true;
    for (size_t i = 0; i < json_array_size(r->selection.named); i++) {
        const char *id = json_string_value(json_array_get(r->selection.named, i));
        bool done = false;
        for (int row = 0; row < PQntuples(rows); row++)
            done = done || (strcmp(db_text(rows, row, ID), id) == 0 && is_done(rows, row));
        if (db_find(rows, ID, id) < 0)
            ctl_fail(CTL_FAILED, "there is no %s %s (see meterctl %s list)", r->kind->one, id,
                     r->kind->command);
        all_done = all_done && done;
    }
    return all_done;
}

static int tell_redone(const struct request *r, const PGresult *rows)
{
    const struct record_kind *k = r->kind;
    int done = tell_rows(k, rows);
    bool all_done = tell_named(r, rows);
    if (!r->selection.named && PQntuples(rows) == 0) {
        printf("no %s that fit can be %s\n", k->several, k->again);
        return CTL_DONE;
    }
    if (!r->selection.named && !r->selection.yes && done > 0)
        return ctl_fail(CTL_FAILED, "nothing was changed: run it again with --yes to have %d %s %s",
                        done, k->several, k->again);
    printf("%s %d %s%s\n", k->redone, done, k->several, done ? k->follows : "");
    return all_done ? CTL_DONE : CTL_FAILED;
}

static int redo(PGconn *conn, void *owner)
{
    struct request *r = owner;
    const char *values[REDO_VALUES];
    struct err e;
    int code = read_filter(conn, &r->filter);
    if (code != CTL_DONE)
        return code;
    char *named = r->selection.named ? json_dumps(r->selection.named, JSON_COMPACT) : NULL;
    values[0] = named;
    add_filter(&r->filter, values + 1);
    PGresult *rows = selection_run(&r->selection, conn, r->kind->redo_sql, REDO_VALUES, values, &e);
    free(named);
    if (!rows)
        return ctl_fail_err(CTL_FAILED, &e);
    code = tell_redone(r, rows);
    PQclear(rows);
    return code;
}

static int check_redo(const struct request *r)
{
    const struct filter *f = &r->filter;
    bool filtered = f->state || f->since || f->before;
    for (int i = 0; i < RECORD_FILTERS; i++)
        filtered = filtered || f->values[i];
    if ((r->selection.named != NULL) == filtered)
        return ctl_fail(
            -1, "either %s ids or a filter, such as --state failed, is required, to say which",
            r->kind->one);
    if (check_filter(r))
        return -1;
    const char *refused = f->state ? find_state(r->kind, f->state)->refused : NULL;
    return refused ? ctl_fail(-1, "--state %s: %s", f->state, refused) : 0;
}

int records_redo(const struct record_kind *kind, const struct ctl_config *config, int argc,
                 char **argv)
{
    struct request r = {.kind = kind};
    const struct args_option options[] = {
        FILTER_OPTIONS(r), {"--yes", NULL, &r.selection.yes}, {NULL, NULL, NULL}};
    int plain = args_parse(argc, argv, options, 0, argc);
    int code = CTL_USAGE;
    if (plain >= 0 && selection_parse(&r.selection, plain, argv) == 0 && check_redo(&r) == 0)
        code = ctl_with_database(config, CTL_FAILED, redo, &r);
    selection_done(&r.selection);
    return code;
}
