/* A borrowed piece of text, not NUL-terminated. */
#ifndef METERLINE_SLICE_H
#define METERLINE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct slice {
    const char *data; /* borrowed */
    size_t length;    /* bytes */
};

static inline bool slice_equals(struct slice a, struct slice b)
{
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

#endif
