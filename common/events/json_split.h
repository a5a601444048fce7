/* Finds the objects in a body of JSON, which event_line then reads one by one: a body of a thousand
 * events is never held as a tree. Pure. */
#ifndef METERLINE_JSON_SPLIT_H
#define METERLINE_JSON_SPLIT_H

#include "common/err.h"
#include "common/events/slice.h"

struct json_split {
    struct slice *list; /* owned; the objects, in their order, in the text that was given */
    size_t count;
    size_t capacity;
};

/* text: an object, or an array of objects. What is inside of them is not looked at, but for where
 * they end. Returns 0, or -1 with e, and then there is nothing to free. */
int json_split(struct json_split *s, struct slice text, struct err *e);
void json_split_done(struct json_split *s);

#endif
