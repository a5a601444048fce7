/* The explanation as CSV (RFC 4180): a line each record of any level, so that a sum over `adds` of
 * one kind of record is the total. */
#include "ctl/explain/event_format.h"
#include "ctl/explain/explain.h"

#include <inttypes.h>
#include <stdio.h>

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

static void write_line(const char *const values[COLUMNS])
{
    const char *texts[COLUMNS];
    struct buf line = {0};

    for (int i = 0; i < COLUMNS; i++)
        texts[i] = values[i] ? values[i] : "";
    event_format_csv(&line, COLUMNS, texts);
    fwrite(line.data, 1, line.length, stdout);
    buf_done(&line);
}

static const char *text_of(const json_t *finding, const char *name)
{
    return json_string_value(json_object_get(finding, name));
}

static void write_head(const struct explain *x)
{
    write_line((const char *[COLUMNS]){"record", "state", "identifier", "at", "quantity", "adds",
                                       "dimensions", "request_id", "stream", "stream_id", "note"});
    const char *total = text_of(x->head, "total");
    write_line((const char *[COLUMNS]){[RECORD] = "total",
                                       [IDENTIFIER] = text_of(x->head, "invoice"),
                                       [AT] = x->period_start,
                                       [QUANTITY] = total,
                                       [ADDS] = total,
                                       [NOTE] = x->period_end});
}

static void begin(const struct explain *x)
{
    write_head(x);
    for (size_t i = 0; i < json_array_size(x->notes); i++)
        write_line((const char *[COLUMNS]){
            [RECORD] = "note", [NOTE] = json_string_value(json_array_get(x->notes, i))});
    for (size_t i = 0; i < json_array_size(x->submissions); i++) {
        const json_t *s = json_array_get(x->submissions, i);
        write_line((const char *[COLUMNS]){[RECORD] = "submission",
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
        write_line((const char *[COLUMNS]){[RECORD] = "unbilled",
                                           [STATE] = text_of(u, "reason"),
                                           [QUANTITY] = quantity,
                                           [ADDS] = quantity});
    }
    for (size_t i = 0; i < json_array_size(x->moved_in); i++) {
        const json_t *m = json_array_get(x->moved_in, i);
        write_line((const char *[COLUMNS]){[RECORD] = "moved_in",
                                           [STATE] = text_of(m, "state"),
                                           [IDENTIFIER] = text_of(m, "identifier"),
                                           [AT] = text_of(m, "usage_at"),
                                           [QUANTITY] = text_of(m, "quantity"),
                                           [REQUEST_ID] = text_of(m, "request_id"),
                                           [NOTE] = text_of(m, "period")});
    }
}

static void minute(const struct explain *x, const struct explain_minute *m)
{
    char sum[DEC_TEXT_SIZE], adds[DEC_TEXT_SIZE], events[32];

    (void)x;
    dec_format(m->sum, sum);
    dec_format(m->adds, adds);
    snprintf(events, sizeof events, "events=%" PRId64, m->events);
    write_line((const char *[COLUMNS]){[RECORD] = "minute",
                                       [AT] = m->at,
                                       [QUANTITY] = sum,
                                       [ADDS] = adds,
                                       [DIMENSIONS] = m->dimensions,
                                       [NOTE] = events});
}

static void event(const struct explain *x, const struct explain_event *e)
{
    char adds[DEC_TEXT_SIZE];

    (void)x;
    dec_format(e->adds, adds);
    write_line((const char *[COLUMNS]){[RECORD] = "event",
                                       [STATE] = e->retracted ? "retracted" : NULL,
                                       [IDENTIFIER] = e->id,
                                       [AT] = e->occurred_at,
                                       [QUANTITY] = e->quantity,
                                       [ADDS] = adds,
                                       [DIMENSIONS] = e->fields,
                                       [STREAM] = e->stream,
                                       [STREAM_ID] = e->stream_id});
}

static void minute_end(const struct explain *x)
{
    (void)x;
}

static void end(const struct explain *x)
{
    if (text_of(x->proof, "events_dropped"))
        write_line((const char *[COLUMNS]){
            [RECORD] = "event", [STATE] = "dropped", [ADDS] = text_of(x->proof, "events_dropped")});
    write_line((const char *[COLUMNS]){
        [RECORD] = "difference", [QUANTITY] = text_of(x->proof, "difference")});
}

const struct explain_format EXPLAIN_CSV = {"csv", begin, minute, event, minute_end, end};
