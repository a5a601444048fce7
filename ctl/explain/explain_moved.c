/* What `meterctl late carry` moved: usage of one period that the invoice of another one holds. It
 * counts for its own period, and so is no part of the total of the one that bills it. */
#include "ctl/ctl.h"
#include "ctl/explain/explain.h"
#include "ctl/report.h"
#include "ctl/sql.h"

#include <stdio.h>

static void add_to(json_t *sums, const char *period, struct dec quantity)
{
    char text[DEC_TEXT_SIZE];
    const char *known = json_string_value(json_object_get(sums, period));
    struct dec sum = known ? explain_dec(known) : DEC_ZERO;

    explain_add(&sum, quantity);
    dec_format(sum, text);
    json_object_set_new(sums, period, json_string(text));
}

/* Of those findings that name a period: how much of which, and all of it under a name in the proof.
 * Returns an object of decimal texts by period, the caller's. */
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
    char text[300];

    snprintf(text, sizeof text,
             "the invoice of this period holds %s more: usage of the period from %s on, which came "
             "too late for its own invoice (`meterctl late carry`), and counts there",
             quantity, period);
    json_array_append_new(x->notes, json_string(text));
}

static void note_out(struct explain *x, const char *quantity, const char *period)
{
    char text[300];

    snprintf(text, sizeof text,
             "%s of this came too late: the invoice of the period from %s on holds it "
             "(`meterctl late carry`)",
             quantity, period);
    json_array_append_new(x->notes, json_string(text));
}

static void note_all(struct explain *x, const json_t *findings, const char *name,
                     void (*note)(struct explain *x, const char *quantity, const char *period))
{
    json_t *sums = sum_up(x, findings, name);

    for (void *i = json_object_iter(sums); i; i = json_object_iter_next(sums, i))
        note(x, json_string_value(json_object_iter_value(i)), json_object_iter_key(i));
    json_decref(sums);
}

int explain_moved(struct explain *x, struct err *e)
{
    const char *values[] = {x->tenant, x->metric, x->period_start, x->period_end};
    PGresult *rows = db_query(x->conn, SQL_EXPLAIN_MOVED_IN, 4, values, e);

    if (!rows)
        return -1;
    report_add_rows(x->moved_in, rows);
    PQclear(rows);
    note_all(x, x->moved_in, "moved_in", note_in);
    note_all(x, x->submissions, "moved_out", note_out);
    return 0;
}
