/* Bytes that somebody else owns: a name or a value of an entry, a tenant, an id. Not
 * NUL-terminated. */
#ifndef METERLINE_TEXT_H
#define METERLINE_TEXT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct text {
    const char *data; /* borrowed; may be NULL when length is 0 */
    uint32_t length;  /* bytes */
};

/* From a string literal, as an initialiser of a static or an expression. */
#define TEXT(literal) ((struct text){.data = (literal), .length = (uint32_t)(sizeof(literal) - 1)})

static inline bool text_equal(struct text a, struct text b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* By bytes, a prefix first: below, equal to or above 0. */
static inline int text_compare(struct text a, struct text b)
{
    uint32_t shorter = a.length < b.length ? a.length : b.length;
    int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);
    if (order != 0)
        return order;
    return (a.length > b.length) - (a.length < b.length);
}

#endif
