/* A thin reader of one JSON object without nesting, by RFC 8259. Numbers stay the text that they
 * are: a quantity never passes through a floating point number. Pure. */
#ifndef METERLINE_EMITTER_JSON_SCAN_H
#define METERLINE_EMITTER_JSON_SCAN_H

#include "common/str.h"
#include "emitter/slice.h"

struct json_scan {
    const char *at;
    const char *end;
    struct buf *text; /* where strings with escapes are written out; must hold all, see json_open */
    const char *fault; /* after -1: what is wrong, static text; at stands there */
};

enum json_kind { JSON_TEXT, JSON_NUMBER, JSON_OTHER };

/* Start reading. text is cleared and made large enough never to move. Returns 0, or -1: no object.
 */
int json_open(struct json_scan *s, const char *line, size_t length, struct buf *text);

/* The next member: 1 and its name and value, 0 at the object's end (and the line's), -1 with fault.
 * name and value live as long as the line and text. value of JSON_OTHER (true, null, [, {) is
 * empty, and reading cannot go on. */
int json_next(struct json_scan *s, struct slice *name, enum json_kind *kind, struct slice *value);

#endif
