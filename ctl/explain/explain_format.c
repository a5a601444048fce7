/* The three ways to print an explanation. */
#include "common/str.h"
#include "ctl/explain/explain.h"
#include "ctl/report.h"
#include "ctl/terminal/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const json_t *finding, const char *name)
{
    return json_string_value(json_object_get(finding, name));
}

/* For people. */

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

static void begin_table(const struct explain *x)
{
    report_print_entry(x->head);
    for (size_t i = 0; i < json_array_size(x->notes); i++)
        printf("%-20s %s\n", "note", json_string_value(json_array_get(x->notes, i)));
    putchar('\n');
    table_print("submissions", x->submissions, SUBMISSIONS, x->wide);
    table_print("in no submission", x->unbilled, UNBILLED, x->wide);
    table_print("billed in this period, used in others", x->moved_in, MOVED_IN, x->wide);
    printf("minutes\n  %-17s  %10s  %20s  dimensions\n", "minute_at", "events", "adds");
}

static void minute_table(const struct explain *x, const struct explain_minute *m)
{
    char adds[DEC_TEXT_SIZE];
    (void)x;
    dec_format(m->adds, adds);
    printf("  %-17s  %10" PRId64 "  %20s  %s\n", m->at, m->events, adds, m->dimensions);
}

static void event_table(const struct explain *x, const struct explain_event *e)
{
    char adds[DEC_TEXT_SIZE];
    if (!x->events)
        return;
    dec_format(e->adds, adds);
    printf("    %s  %20s  %s quantity=%s%s\n", e->occurred_at, adds, e->id, e->quantity,
           e->retracted ? " (taken back)" : "");
}

static void end_table(const struct explain *x)
{
    putchar('\n');
    report_print_line("explain", x->proof);
}

const struct explain_format EXPLAIN_TABLE = {"table",     begin_table, minute_table,
                                             event_table, NULL,        end_table};

/* CSV (RFC 4180): a line each record of any level, so that a sum over `adds` of one kind of record
 * is the total. */

enum {
    RECORD,
    STATE,
    IDENTIFIER,
    AT,
    QUANTITY,
    ADDS,
    DIMENSIONS,
    REQUEST_ID,
    STREAM,
    STREAM_ID,
    NOTE,
    COLUMNS
};

static void write_record(const char *const values[COLUMNS])
{
    const char *texts[COLUMNS];
    struct buf line = {0};
    for (int i = 0; i < COLUMNS; i++)
        texts[i] = values[i] ? values[i] : "";
    report_add_csv(&line, COLUMNS, texts);
    fwrite(line.data, 1, line.length, stdout);
    buf_done(&line);
}

static void write_csv_head(const struct explain *x)
{
    write_record((const char *[COLUMNS]){"record", "state", "identifier", "at", "quantity", "adds",
                                         "dimensions", "request_id", "stream", "stream_id",
                                         "note"});
    const char *total = text_of(x->head, "total");
    write_record((const char *[COLUMNS]){[RECORD] = "total",
                                         [IDENTIFIER] = text_of(x->head, "invoice"),
                                         [AT] = x->period_start,
                                         [QUANTITY] = total,
                                         [ADDS] = total,
                                         [NOTE] = x->period_end});
}

static void begin_csv(const struct explain *x)
{
    write_csv_head(x);
    for (size_t i = 0; i < json_array_size(x->notes); i++)
        write_record((const char *[COLUMNS]){
            [RECORD] = "note", [NOTE] = json_string_value(json_array_get(x->notes, i))});
    for (size_t i = 0; i < json_array_size(x->submissions); i++) {
        const json_t *s = json_array_get(x->submissions, i);
        write_record((const char *[COLUMNS]){[RECORD] = "submission",
                                             [STATE] = text_of(s, "state"),
                                             [IDENTIFIER] = text_of(s, "identifier"),
                                             [AT] = text_of(s, "usage_at"),
                                             [QUANTITY] = text_of(s, "quantity"),
                                             [ADDS] = text_of(s, "adds"),
                                             [REQUEST_ID] = text_of(s, "request_id"),
                                             [NOTE] = text_of(s, "last_error")});
    }
    for (size_t i = 0; i < json_array_size(x->unbilled); i++) {
        const json_t *u = json_array_get(x->unbilled, i);
        const char *quantity = text_of(u, "quantity");
        write_record((const char *[COLUMNS]){[RECORD] = "unbilled",
                                             [STATE] = text_of(u, "reason"),
                                             [QUANTITY] = quantity,
                                             [ADDS] = quantity});
    }
    for (size_t i = 0; i < json_array_size(x->moved_in); i++) {
        const json_t *m = json_array_get(x->moved_in, i);
        write_record((const char *[COLUMNS]){[RECORD] = "moved_in",
                                             [STATE] = text_of(m, "state"),
                                             [IDENTIFIER] = text_of(m, "identifier"),
                                             [AT] = text_of(m, "usage_at"),
                                             [QUANTITY] = text_of(m, "quantity"),
                                             [REQUEST_ID] = text_of(m, "request_id"),
                                             [NOTE] = text_of(m, "period")});
    }
}

static void minute_csv(const struct explain *x, const struct explain_minute *m)
{
    char sum[DEC_TEXT_SIZE], adds[DEC_TEXT_SIZE], events[32];
    (void)x;
    dec_format(m->sum, sum);
    dec_format(m->adds, adds);
    snprintf(events, sizeof events, "events=%" PRId64, m->events);
    write_record((const char *[COLUMNS]){[RECORD] = "minute",
                                         [AT] = m->at,
                                         [QUANTITY] = sum,
                                         [ADDS] = adds,
                                         [DIMENSIONS] = m->dimensions,
                                         [NOTE] = events});
}

static void event_csv(const struct explain *x, const struct explain_event *e)
{
    char adds[DEC_TEXT_SIZE];
    (void)x;
    dec_format(e->adds, adds);
    write_record((const char *[COLUMNS]){[RECORD] = "event",
                                         [STATE] = e->retracted ? "retracted" : NULL,
                                         [IDENTIFIER] = e->id,
                                         [AT] = e->occurred_at,
                                         [QUANTITY] = e->quantity,
                                         [ADDS] = adds,
                                         [DIMENSIONS] = e->fields,
                                         [STREAM] = e->stream,
                                         [STREAM_ID] = e->stream_id});
}

static void end_csv(const struct explain *x)
{
    if (text_of(x->proof, "events_dropped"))
        write_record((const char *[COLUMNS]){
            [RECORD] = "event", [STATE] = "dropped", [ADDS] = text_of(x->proof, "events_dropped")});
    write_record((const char *[COLUMNS]){
        [RECORD] = "difference", [QUANTITY] = text_of(x->proof, "difference")});
}

const struct explain_format EXPLAIN_CSV = {"csv", begin_csv, minute_csv, event_csv, NULL, end_csv};

/* One JSON object, written as it comes: a line each minute and each event. */

static const struct report_column EVENT_COLUMNS[] = {
    {"event_id", false}, {"stream", false}, {"stream_id", false}, {"occurred_at", false},
    {"quantity", false}, {"adds", false},   {"retracted", true},  {"dimensions", true},
};

enum { EVENT_COLUMN_COUNT = sizeof EVENT_COLUMNS / sizeof EVENT_COLUMNS[0] };

/* Whether a minute, and an event of it, was written before: the process writes one object only. */
static bool had_minute, had_event;

static void print_member(const char *name, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);
    printf(",\n\"%s\":%s", name, text);
    free(text);
}

/* The head without its closing brace. */
static void begin_json(const struct explain *x)
{
    char *head = json_dumps(x->head, JSON_COMPACT);
    head[strlen(head) - 1] = '\0';
    fputs(head, stdout);
    free(head);
    print_member("notes", x->notes);
    print_member("submissions", x->submissions);
    print_member("unbilled", x->unbilled);
    print_member("moved_in", x->moved_in);
    fputs(",\n\"minutes\":[", stdout);
}

static void minute_json(const struct explain *x, const struct explain_minute *m)
{
    char sum[DEC_TEXT_SIZE], adds[DEC_TEXT_SIZE];
    (void)x;
    dec_format(m->sum, sum);
    dec_format(m->adds, adds);
    printf("%s\n{\"minute_at\":\"%s\",\"dimensions\":%s,\"events\":%" PRId64
           ",\"quantity_sum\":\"%s\",\"adds\":\"%s\",\"raw_events\":[",
           had_minute ? "," : "", m->at, m->dimensions, m->events, sum, adds);
    had_minute = true;
    had_event = false;
}

static void event_json(const struct explain *x, const struct explain_event *e)
{
    char adds[DEC_TEXT_SIZE];
    struct buf line = {0};
    (void)x;
    dec_format(e->adds, adds);
    const char *values[] = {e->id,
                            e->stream,
                            e->stream_id,
                            e->occurred_at,
                            e->quantity,
                            adds,
                            e->retracted ? "true" : "false",
                            e->fields};
    report_add_ndjson(&line, EVENT_COLUMNS, EVENT_COLUMN_COUNT, values);
    /* The line ends in a line break, which belongs before the next one. */
    printf("%s\n%.*s", had_event ? "," : "", (int)line.length - 1, line.data);
    buf_done(&line);
    had_event = true;
}

static void minute_end_json(const struct explain *x)
{
    (void)x;
    fputs("]}", stdout);
}

static void end_json(const struct explain *x)
{
    fputs("]", stdout);
    print_member("proof", x->proof);
    puts("}");
}

const struct explain_format EXPLAIN_JSON = {"json",     begin_json,      minute_json,
                                            event_json, minute_end_json, end_json};
