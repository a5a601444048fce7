/* Raw events as lines of text. Pure. */
#ifndef METERLINE_CTL_EVENT_FORMAT_H
#define METERLINE_CTL_EVENT_FORMAT_H

#include "common/str.h"

#include <stdbool.h>

struct event_column {
    const char *name;
    bool is_json; /* its text is JSON already: an object, true or false */
};

/* One JSON object and a newline. values: as many as columns, none NULL. */
void event_format_ndjson(struct buf *out, const struct event_column *columns, int count,
                         const char *const *values);

/* RFC 4180: fields with a comma, a quote or a line break in quotes, quotes doubled; CRLF. */
void event_format_csv(struct buf *out, int count, const char *const *values);

#endif
