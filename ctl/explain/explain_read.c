/* What is billed, and which submissions hold it. */
#include "ctl/ctl.h"
#include "ctl/explain/explain.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include "common/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void note(struct explain *x, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void note(struct explain *x, const char *format, ...)
{
    char text[300];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    json_array_append_new(x->notes, json_string(text));
}

/* A member of the head that is for us, not for the reader; the caller's to free. NULL if there is
 * none. */
static char *take_text(struct explain *x, const char *name)
{
    const char *text = json_string_value(json_object_get(x->head, name));
    char *copy = text ? xstrdup(text) : NULL;

    json_object_del(x->head, name);
    return copy;
}

static bool take_bool(struct explain *x, const char *name)
{
    bool value = json_is_true(json_object_get(x->head, name));

    json_object_del(x->head, name);
    return value;
}

static void take_notes(struct explain *x)
{
    char *unfolded = take_text(x, "unfolded");
    char *used = take_text(x, "used_period");

    if (take_bool(x, "carried_over"))
        note(x, "no usage in this period: the last value of before, of %s, is carried over",
             x->first);
    if (used)
        note(x, "nothing was used in this period; the newest with usage is --period %s", used);
    if (strcmp(unfolded, "0") != 0)
        note(x, "%s events wait to be folded into minutes, and are in none of this yet", unfolded);
    if (x->dropped_before)
        note(x, "retention dropped raw events of before %s", x->dropped_before);
    if (!x->is_summed)
        note(x, "submissions were given back, or the period's edges moved: the sink has yet to "
                "claim anew");
    free(unfolded);
    free(used);
}

static void take_head(struct explain *x)
{
    x->period_start = xstrdup(json_string_value(json_object_get(x->head, "period_start")));
    x->period_end = xstrdup(json_string_value(json_object_get(x->head, "period_end")));
    x->total = explain_dec(json_string_value(json_object_get(x->head, "total")));
    x->kind = kind_of(json_string_value(json_object_get(x->head, "aggregation")));
    x->first = take_text(x, "first_minute");
    x->last = take_text(x, "last_minute");
    x->dropped_before = take_text(x, "dropped_before");
    x->is_summed = take_bool(x, "is_summed");
    take_notes(x);
}

static int read_rows(struct explain *x, const char *sql, int n, const char *const *values,
                     json_t *list, struct err *e)
{
    PGresult *rows = db_query(x->conn, sql, n, values, e);

    if (!rows)
        return -1;
    report_add_rows(list, rows);
    PQclear(rows);
    return 0;
}

static int read_head(struct explain *x, const char *at)
{
    const char *values[] = {x->tenant, x->metric, at};
    json_t *rows = json_array();
    struct err e;
    int failed = read_rows(x, SQL_EXPLAIN_TOTAL, 3, values, rows, &e);

    if (!failed && json_array_size(rows) > 0) {
        x->head = json_pack("{s:s, s:s}", "tenant", x->tenant, "metric", x->metric);
        json_object_update(x->head, json_array_get(rows, 0));
    }
    json_decref(rows);
    if (failed)
        return ctl_fail(CTL_FAILED, "%s", e.text);
    if (!x->head)
        return ctl_fail(CTL_FAILED, "the catalog has no metric %s", x->metric);
    take_head(x);
    return CTL_DONE;
}

static void add_term(struct explain *x, const char *name, struct dec quantity)
{
    char text[DEC_TEXT_SIZE];
    const char *known = json_string_value(json_object_get(x->terms, name));
    struct dec sum = known ? explain_dec(known) : DEC_ZERO;

    explain_add(&sum, quantity);
    explain_add(&x->submitted, quantity);
    dec_format(sum, text);
    json_object_set_new(x->terms, name, json_string(text));
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

/* Other than the part below one, which no submission could hold. */
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

/* What usage_unbilled says is by the sum that was claimed. Until the sink has made that anew, what
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

static int read_parts(struct explain *x, struct err *e)
{
    const char *key[] = {x->tenant, x->metric, x->period_start};
    const char *total = json_string_value(json_object_get(x->head, "total"));

    if (x->is_summed && read_rows(x, SQL_EXPLAIN_UNBILLED, 3, key, x->unbilled, e))
        return -1;
    const char *period[] = {x->tenant,       x->metric,
                            x->period_start, x->period_end,
                            total,           holds_whole_units(x->unbilled) ? "true" : "false"};
    if (read_rows(x, SQL_EXPLAIN_SUBMISSIONS, 6, period, x->submissions, e))
        return -1;
    add_term(x, "sent", DEC_ZERO);
    add_terms(x, x->submissions, "state", "adds");
    if (!x->is_summed)
        add_waiting(x);
    add_terms(x, x->unbilled, "reason", "quantity");
    return explain_moved(x, e);
}

int explain_read(struct explain *x, const char *at)
{
    struct err e;
    int code = read_head(x, at);

    if (code == CTL_DONE && read_parts(x, &e))
        code = ctl_fail(CTL_FAILED, "%s", e.text);
    return code;
}
