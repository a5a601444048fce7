/* Reads one flat JSON object (RFC 8259) member by member, for event_line. Numbers keep the exact
 * text of the line, because a quantity must never become a floating point number. Pure. */
#ifndef METERLINE_JSON_SCAN_H
#define METERLINE_JSON_SCAN_H

#include "common/events/slice.h"
#include "common/str.h"

struct json_scan {
    const char *at;
    const char *end;
    struct buf *text;  /* gets strings that had escapes; large enough for all, see json_scan_open */
    const char *fault; /* after -1: what is wrong, static; at points to the place */
};

enum json_kind { JSON_TEXT, JSON_NUMBER, JSON_OTHER };

/* Begin. text is cleared and made large enough never to move. Returns 0, or -1: not an object. */
int json_scan_open(struct json_scan *s, const char *line, size_t length, struct buf *text);

/* The next member: returns 1 with its name and value, 0 at the end of object and line, -1 with
 * fault. name and value live as long as the line and text. JSON_OTHER (true, null, [, {) has an
 * empty value, and reading cannot go on. */
int json_scan_next(struct json_scan *s, struct slice *name, enum json_kind *kind,
                   struct slice *value);

#endif
