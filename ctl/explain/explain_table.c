/* The explanation for people. */
#include "ctl/explain/explain.h"
#include "ctl/report.h"
#include "ctl/terminal/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct table_column SUBMISSIONS[] = {
    {"identifier", TABLE_NAME}, {"state", TABLE_TEXT},      {"quantity", TABLE_NUMBER},
    {"adds", TABLE_NUMBER},     {"usage_at", TABLE_TEXT},   {"carried", TABLE_TEXT},
    {"period", TABLE_TEXT},     {"request_id", TABLE_NAME}, {"sent_at", TABLE_TEXT},
    {"last_error", TABLE_NOTE}, {NULL, TABLE_TEXT}};
static const struct table_column MOVED_IN[] = {
    {"identifier", TABLE_NAME}, {"state", TABLE_TEXT},  {"quantity", TABLE_NUMBER},
    {"usage_at", TABLE_TEXT},   {"period", TABLE_TEXT}, {"request_id", TABLE_NAME},
    {"sent_at", TABLE_TEXT},    {NULL, TABLE_TEXT}};
static const struct table_column UNBILLED[] = {
    {"reason", TABLE_TEXT}, {"quantity", TABLE_NUMBER}, {NULL, TABLE_TEXT}};

static void begin(const struct explain *x)
{
    report_print_entry(x->head);
    for (size_t i = 0; i < json_array_size(x->notes); i++)
        printf("%-20s %s\n", "note", json_string_value(json_array_get(x->notes, i)));
    putchar('\n');
    table_print("submissions", x->submissions, SUBMISSIONS, x->wide);
    table_print("in no submission", x->unbilled, UNBILLED, x->wide);
    table_print("billed with this period, usage of others", x->moved_in, MOVED_IN, x->wide);
    printf("minutes\n  %-17s  %10s  %20s  dimensions\n", "minute_at", "events", "adds");
}

static void minute(const struct explain *x, const struct explain_minute *m)
{
    char adds[DEC_TEXT_SIZE];

    (void)x;
    dec_format(m->adds, adds);
    printf("  %-17s  %10" PRId64 "  %20s  %s\n", m->at, m->events, adds, m->dimensions);
}

static void event(const struct explain *x, const struct explain_event *e)
{
    char adds[DEC_TEXT_SIZE];

    if (!x->events)
        return;
    dec_format(e->adds, adds);
    printf("    %s  %20s  %s quantity=%s%s\n", e->occurred_at, adds, e->id, e->quantity,
           e->retracted ? " (taken back)" : "");
}

static void minute_end(const struct explain *x)
{
    (void)x;
}

static void end(const struct explain *x)
{
    putchar('\n');
    report_print_line("explain", x->proof);
}

const struct explain_format EXPLAIN_TABLE = {"table", begin, minute, event, minute_end, end};
