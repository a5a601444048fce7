/* Parses one line of NDJSON into an event, by the rules of the stream that the aggregator applies
 * too, and writes the event as the XADD that adds it. Pure: time comes in as an argument.
 *
 *     {"tenant": "acme", "metric": "api_calls", "quantity": 1.5, "model": "large"}
 *
 * quantity and ts may be numbers or strings, and keep the exact text of the line. Everything else
 * must be a string. */
#ifndef METERLINE_EVENT_LINE_H
#define METERLINE_EVENT_LINE_H

#include "common/contract.h"
#include "common/events/metric_names.h"
#include "common/events/slice.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

enum event_known {
    EVENT_TENANT,
    EVENT_METRIC,
    EVENT_QUANTITY,
    EVENT_ID,
    EVENT_TS,
    EVENT_OP,
    EVENT_KNOWN
};
extern const char *const EVENT_NAMES[EVENT_KNOWN]; /* their names in the stream */

struct event_field {
    struct slice name;
    struct slice value;
};

/* Zero-initialise once; used again for every line. */
struct event_line {
    struct slice known[EVENT_KNOWN]; /* valid where given */
    bool given[EVENT_KNOWN];
    struct event_field dimensions[DIMENSIONS_MAX]; /* all other fields, in the line's order */
    int dimensions_count;
    int64_t oldest_ms; /* Unix: ts may be that old; 0: 35 days */
    struct buf text;   /* owned: strings that had escapes, unescaped */
    char why[200];     /* after -1: "quantity: …"; never quotes a value of the line */
};

/* For callers who have the fields already, and no line: begin, give each, check. Each returns 0, or
 * -1 with why. What is given is borrowed as long as e is used. */
void event_line_begin(struct event_line *e);
int event_line_give(struct event_line *e, enum event_known known, struct slice value);
int event_line_give_dimension(struct event_line *e, struct slice name, struct slice value);
int event_line_check(struct event_line *e, int64_t now_ms, const struct metric_names *metrics);

/* The fields of a line, which are still to be checked. */
int event_line_read(struct event_line *e, const char *line, size_t length);
/* now_ms: Unix, for the bounds of ts. metrics: the allowed ones, or NULL for any. Returns 0, or -1
 * with why. The fields of e point into the line and into e->text. */
int event_line_parse(struct event_line *e, const char *line, size_t length, int64_t now_ms,
                     const struct metric_names *metrics);

/* Append the bytes of `XADD <key> * …` to out, in Redis' protocol. key: the shard's. An event
 * without an id gets own_id, and one without a time own_ts. A retraction gets neither: its id is
 * that of the event it takes back, and so is its ts. */
void event_line_add_command(const struct event_line *e, const char *key, const char *own_id,
                            const char *own_ts, struct buf *out);

/* The same as the arguments of a command, of an event that has an id. They point to e, key, own_ts
 * and static text. */
enum { EVENT_ARGUMENTS_MAX = 3 + 2 * (EVENT_KNOWN + DIMENSIONS_MAX) };
struct event_arguments {
    const char *argv[EVENT_ARGUMENTS_MAX];
    size_t lengths[EVENT_ARGUMENTS_MAX];
    int count;
};
void event_line_arguments(const struct event_line *e, const char *key, const char *own_ts,
                          struct event_arguments *out);

void event_line_done(struct event_line *e);

#endif
