/* One line of NDJSON as an event, by the same rules as the aggregator's (design: the stream), or
 * the reason why it is none. Pure: time comes in as an argument.
 *
 *     {"tenant": "acme", "metric": "api_calls", "quantity": 1.5, "model": "large"}
 *
 * quantity and ts may be numbers or strings and are taken to the letter; all else must be strings.
 */
#ifndef METERLINE_EMITTER_EVENT_LINE_H
#define METERLINE_EMITTER_EVENT_LINE_H

#include "common/contract.h"
#include "common/str.h"
#include "emitter/metric_names.h"
#include "emitter/slice.h"

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
extern const char *const EVENT_NAMES[EVENT_KNOWN]; /* the stream's names of them */

struct event_field {
    struct slice name;
    struct slice value;
};

/* Zero-initialise once; used again for every line. */
struct event_line {
    struct slice known[EVENT_KNOWN]; /* where given */
    bool given[EVENT_KNOWN];
    struct event_field dimensions[DIMENSIONS_MAX]; /* all other fields, in the line's order */
    int dimensions_count;
    struct buf text; /* owned: strings that had escapes */
    char why[200];   /* after -1: "quantity: …"; never a value of the line */
};

/* now_ms: Unix, for the bounds of ts. metrics: those that there are, or NULL for any. Returns 0, or
 * -1 with why. What is in e then points into the line and into e. */
int event_line_parse(struct event_line *e, const char *line, size_t length, int64_t now_ms,
                     const struct metric_names *metrics);

void event_line_done(struct event_line *e);

#endif
