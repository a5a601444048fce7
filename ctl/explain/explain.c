/* meterctl explain: from the number on the invoice to submissions, minutes and events, in one
 * snapshot. Events are read, printed and added up one by one, so that memory does not grow with
 * them. */
#include "ctl/explain/explain.h"

#include "common/str.h"
#include "ctl/args.h"
#include "ctl/ctl.h"
#include "ctl/names.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options {
    const char *tenant;
    const char *metric;
    const char *period;
    const char *format;
    bool events;
    bool wide;
};

/* What is billed, and which submissions hold it. */

static enum explain_kind kind_of(const char *aggregation)
{
    static const char *const NAMES[] = {
        [EXPLAIN_SUM] = "sum",   [EXPLAIN_COUNT] = "count",   [EXPLAIN_MAX] = "max",
        [EXPLAIN_LAST] = "last", [EXPLAIN_UNIQUE] = "unique",
    };
    size_t i = 0;
    while (strcmp(NAMES[i], aggregation) != 0) {
        i++;
        assert(i < sizeof NAMES / sizeof NAMES[0]);
    }
    return (enum explain_kind)i;
}

__attribute__((format(printf, 2, 3))) static void note(struct explain *x, const char *format, ...)
{
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_array_append_new(x->notes, json_string(text));
}

/* Take a member out of the head that the reader need not see; the caller's to free. NULL if
 * there is none. */
static char *pop_text(struct explain *x, const char *name)
{
    const char *text = json_string_value(json_object_get(x->head, name));
    char *copy = text ? xstrdup(text) : NULL;
    json_object_del(x->head, name);
    return copy;
}

static bool pop_bool(struct explain *x, const char *name)
{
    bool value = json_is_true(json_object_get(x->head, name));
    json_object_del(x->head, name);
    return value;
}

static void add_notes(struct explain *x)
{
    char *unfolded = pop_text(x, "unfolded");
    char *used = pop_text(x, "used_period");
    if (pop_bool(x, "carried_over"))
        note(x, "no usage in this period: the last value before it, from %s, is carried over",
             x->first);
    if (used)
        note(x, "nothing was used in this period; the newest period with usage is --period %s",
             used);
    if (strcmp(unfolded, "0") != 0)
        note(x, "%s events wait to be added to the minutes, and are not in these figures yet",
             unfolded);
    if (x->dropped_before)
        note(x, "retention dropped the raw events before %s", x->dropped_before);
    if (!x->is_summed)
        note(x, "submissions became void, or the period's start or end moved: the sink has not "
                "claimed anew yet");
    free(unfolded);
    free(used);
}

static void use_head(struct explain *x)
{
    x->period_start = xstrdup(json_string_value(json_object_get(x->head, "period_start")));
    x->period_end = xstrdup(json_string_value(json_object_get(x->head, "period_end")));
    x->total = explain_dec(json_string_value(json_object_get(x->head, "total")));
    x->kind = kind_of(json_string_value(json_object_get(x->head, "aggregation")));
    x->first = pop_text(x, "first_minute");
    x->last = pop_text(x, "last_minute");
    x->dropped_before = pop_text(x, "dropped_before");
    x->is_summed = pop_bool(x, "is_summed");
    add_notes(x);
}

static int read_head(struct explain *x, const char *at)
{
    const char *values[] = {x->tenant, x->metric, at};
    json_t *rows = json_array();
    struct err e;
    int failed = report_query(rows, x->conn, SQL_EXPLAIN_TOTAL, 3, values, &e);
    if (!failed && json_array_size(rows) > 0) {
        x->head = json_pack("{s:s, s:s}", "tenant", x->tenant, "metric", x->metric);
        json_object_update(x->head, json_array_get(rows, 0));
    }
    json_decref(rows);
    if (failed)
        return ctl_fail_err(CTL_FAILED, &e);
    if (!x->head)
        return ctl_fail(CTL_FAILED, "the catalog has no metric %s", x->metric);
    use_head(x);
    return CTL_DONE;
}

static void set_dec(json_t *finding, const char *name, struct dec value)
{
    char text[DEC_TEXT_SIZE];
    dec_format(value, text);
    json_object_set_new(finding, name, json_string(text));
}

/* Adds to the decimal text that sums has under name. */
static void add_to(json_t *sums, const char *name, struct dec quantity)
{
    const char *known = json_string_value(json_object_get(sums, name));
    struct dec sum = known ? explain_dec(known) : DEC_ZERO;
    explain_add(&sum, quantity);
    set_dec(sums, name, sum);
}

static void add_term(struct explain *x, const char *name, struct dec quantity)
{
    add_to(x->terms, name, quantity);
    explain_add(&x->submitted, quantity);
}

/* name: the member that names the term; value: its quantity. */
static void add_terms(struct explain *x, const json_t *findings, const char *name,
                      const char *value)
{
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *finding = json_array_get(findings, i);
        add_term(x, json_string_value(json_object_get(finding, name)),
                 explain_dec(json_string_value(json_object_get(finding, value))));
    }
}

/* Something other than a part below one unit, which no submission could hold. */
static bool holds_whole_units(const json_t *unbilled)
{
    for (size_t i = 0; i < json_array_size(unbilled); i++) {
        const char *reason =
            json_string_value(json_object_get(json_array_get(unbilled, i), "reason"));
        if (strcmp(reason, "carried") != 0 && strcmp(reason, "rounded") != 0)
            return true;
    }
    return false;
}

/* usage_unbilled goes by the sum that was claimed. Until the sink has computed that anew, what
 * is in no submission waits for it. */
static void add_waiting(struct explain *x)
{
    char text[DEC_TEXT_SIZE];
    struct dec rest;
    int failed = dec_sub(x->total, x->submitted, &rest);
    assert(!failed);
    if (dec_is_zero(rest))
        return;
    dec_format(rest, text);
    json_array_append_new(x->unbilled,
                          json_pack("{s:s, s:s}", "reason", "waiting", "quantity", text));
}

/* Add up the findings that name a period, by period; the sum of all goes under a name into the
 * proof. Returns an object of decimal texts by period, the caller's to json_decref. */
static json_t *sum_up(struct explain *x, const json_t *findings, const char *name)
{
    json_t *sums = json_object();
    for (size_t i = 0; i < json_array_size(findings); i++) {
        const json_t *finding = json_array_get(findings, i);
        const char *period = json_string_value(json_object_get(finding, "period"));
        if (!period)
            continue;
        struct dec quantity = explain_dec(json_string_value(json_object_get(finding, "quantity")));
        add_to(sums, period, quantity);
        add_to(x->moved, name, quantity);
    }
    return sums;
}

static void note_in(struct explain *x, const char *quantity, const char *period)
{
    note(x,
         "the invoice of this period holds %s more: usage of the period from %s on, which came too "
         "late for its own invoice (`meterctl late carry`), and counts there",
         quantity, period);
}

static void note_out(struct explain *x, const char *quantity, const char *period)
{
    note(x,
         "%s of this came too late: the invoice of the period from %s on holds it (`meterctl late "
         "carry`)",
         quantity, period);
}

static void note_all(struct explain *x, const json_t *findings, const char *name,
                     void (*tell_of)(struct explain *x, const char *quantity, const char *period))
{
    json_t *sums = sum_up(x, findings, name);
    for (void *i = json_object_iter(sums); i; i = json_object_iter_next(sums, i))
        tell_of(x, json_string_value(json_object_iter_value(i)), json_object_iter_key(i));
    json_decref(sums);
}

/* What `meterctl late carry` moved: usage of one period that the invoice of another one holds. It
 * counts for its own period, and so is no part of the total of the one that bills it. */
static int read_moved(struct explain *x, struct err *e)
{
    const char *values[] = {x->tenant, x->metric, x->period_start, x->period_end};
    if (report_query(x->moved_in, x->conn, SQL_EXPLAIN_MOVED_IN, 4, values, e))
        return -1;
    note_all(x, x->moved_in, "moved_in", note_in);
    note_all(x, x->submissions, "moved_out", note_out);
    return 0;
}

static int read_parts(struct explain *x, struct err *e)
{
    const char *key[] = {x->tenant, x->metric, x->period_start};
    const char *total = json_string_value(json_object_get(x->head, "total"));
    if (x->is_summed && report_query(x->unbilled, x->conn, SQL_EXPLAIN_UNBILLED, 3, key, e))
        return -1;
    const char *period[] = {x->tenant,       x->metric,
                            x->period_start, x->period_end,
                            total,           holds_whole_units(x->unbilled) ? "true" : "false"};
    if (report_query(x->submissions, x->conn, SQL_EXPLAIN_SUBMISSIONS, 6, period, e))
        return -1;
    add_term(x, "sent", DEC_ZERO);
    add_terms(x, x->submissions, "state", "adds");
    if (!x->is_summed)
        add_waiting(x);
    add_terms(x, x->unbilled, "reason", "quantity");
    return read_moved(x, e);
}

/* The explanation. */

/* Compare each level with the one above it. */
static void prove(struct explain *x)
{
    explain_add_difference(&x->difference, x->total, x->submitted);
    explain_add_difference(&x->difference, x->total, x->minutes);
    set_dec(x->proof, "total", x->total);
    json_object_update(x->proof, x->terms);
    set_dec(x->proof, "minutes", x->minutes);
    set_dec(x->proof, "events", x->found);
    if (!dec_is_zero(x->dropped))
        set_dec(x->proof, "events_dropped", x->dropped);
    json_object_update(x->proof, x->moved);
    set_dec(x->proof, "difference", x->difference);
}

static int tell(struct explain *x, const char *at)
{
    struct err e;
    int code = read_head(x, at);
    if (code != CTL_DONE)
        return code;
    if (read_parts(x, &e))
        return ctl_fail_err(CTL_FAILED, &e);
    x->format->begin(x);
    if (explain_minutes(x, &e))
        return ctl_fail_err(CTL_FAILED, &e);
    prove(x);
    x->format->end(x);
    if (fflush(stdout) || ferror(stdout))
        return ctl_fail(CTL_FAILED, "standard output: %s", strerror(errno));
    return dec_is_zero(x->difference)
               ? CTL_DONE
               : ctl_fail(CTL_FAILED, "the levels do not add up: see difference");
}

static int explain(struct explain *x, const char *at)
{
    struct err e;
    if (db_begin_snapshot(x->conn, &e))
        return ctl_fail_err(CTL_FAILED, &e);
    x->submissions = json_array();
    x->unbilled = json_array();
    x->moved_in = json_array();
    x->moved = json_object();
    x->notes = json_array();
    x->terms = json_object();
    x->proof = json_object();
    int code = tell(x, at);
    free(x->period_start);
    free(x->period_end);
    free(x->first);
    free(x->last);
    free(x->dropped_before);
    json_decref(x->head);
    json_decref(x->submissions);
    json_decref(x->unbilled);
    json_decref(x->moved_in);
    json_decref(x->moved);
    json_decref(x->notes);
    json_decref(x->terms);
    json_decref(x->proof);
    return code;
}

static const struct explain_format *find_format(const char *name)
{
    static const struct explain_format *const FORMATS[] = {&EXPLAIN_TABLE, &EXPLAIN_CSV,
                                                           &EXPLAIN_JSON};
    for (size_t i = 0; i < sizeof FORMATS / sizeof FORMATS[0]; i++)
        if (!name || strcmp(name, FORMATS[i]->name) == 0)
            return FORMATS[i];
    return NULL;
}

static int check_options(const struct options *o)
{
    if (!o->tenant || !o->metric || !o->period)
        return ctl_fail(-1, "--tenant, --metric and --period are required; --period is a time in "
                            "the billing period, or current");
    if (!find_format(o->format))
        return ctl_fail(-1, "--format must be table, csv or json, not %s", o->format);
    return 0;
}

static int run(PGconn *conn, void *owner)
{
    const struct options *o = owner;
    char at[TIME_TEXT_SIZE];
    struct explain x = {.conn = conn,
                        .tenant = o->tenant,
                        .metric = o->metric,
                        .format = find_format(o->format),
                        .events = o->events,
                        .wide = o->wide};
    int code = args_period(conn, o->period, at);
    if (code == CTL_DONE)
        code = names_check(conn, o->tenant, o->metric, CTL_FAILED);
    return code == CTL_DONE ? explain(&x, at) : code;
}

int explain_run(const struct ctl_config *config, int argc, char **argv)
{
    struct options o = {0};
    const struct args_option options[] = {{"--tenant", &o.tenant, NULL},
                                          {"--metric", &o.metric, NULL},
                                          {"--period", &o.period, NULL},
                                          {"--format", &o.format, NULL},
                                          {"--events", NULL, &o.events},
                                          {"--wide", NULL, &o.wide},
                                          {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options) || check_options(&o))
        return CTL_USAGE;
    return ctl_with_database(config, CTL_FAILED, run, &o);
}
