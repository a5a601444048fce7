/* The explanation as one JSON object, written as it comes: a line each minute and each event. */
#include "ctl/explain/event_format.h"
#include "ctl/explain/explain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct event_column EVENT_COLUMNS[] = {
    {"event_id", false}, {"stream", false}, {"stream_id", false}, {"occurred_at", false},
    {"quantity", false}, {"adds", false},   {"retracted", true},  {"dimensions", true},
};

enum { EVENT_COLUMN_COUNT = sizeof EVENT_COLUMNS / sizeof EVENT_COLUMNS[0] };

/* Of the process, which writes one object: whether a minute, and an event of it, came before. */
static bool had_minute, had_event;

static void print_member(const char *name, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT);

    printf(",\n\"%s\":%s", name, text);
    free(text);
}

/* The head without its closing brace. */
static void begin(const struct explain *x)
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

static void minute(const struct explain *x, const struct explain_minute *m)
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

static void event(const struct explain *x, const struct explain_event *e)
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
    event_format_ndjson(&line, EVENT_COLUMNS, EVENT_COLUMN_COUNT, values);
    /* It ends in a line break, which is to come before the next one. */
    printf("%s\n%.*s", had_event ? "," : "", (int)line.length - 1, line.data);
    buf_done(&line);
    had_event = true;
}

static void minute_end(const struct explain *x)
{
    (void)x;
    fputs("]}", stdout);
}

static void end(const struct explain *x)
{
    fputs("]", stdout);
    print_member("proof", x->proof);
    puts("}");
}

const struct explain_format EXPLAIN_JSON = {"json", begin, minute, event, minute_end, end};
