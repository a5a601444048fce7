/* Strict reading of a JSON document for people: every fault is noted with its path, such as
 * plans[1].limits.api_calls.cap, and reading goes on, so that all are told at once. Pure. */
#ifndef METERLINE_CTL_CHECK_H
#define METERLINE_CTL_CHECK_H

#include "common/dec.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* Where in the document we are. By value: cheap enough for a catalog, and nobody owns anything. */
struct path {
    char text[240];
};
struct path path_key(const struct path *parent,
                     const char *key); /* parent.key; parent may be NULL */
struct path path_index(const struct path *parent, size_t index); /* parent[index] */

struct check {
    struct buf *faults; /* one a line: "path: what is wrong" */
    int count;
};

/* Note a fault. */
void check_fault(struct check *c, const struct path *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* False, with a fault, for anything but an object (array); NULL counts as missing. */
bool check_object(struct check *c, const struct path *at, const json_t *value);
bool check_array(struct check *c, const struct path *at, const json_t *value);

/* A fault for each key that known (ends in NULL) does not list. */
void check_keys(struct check *c, const struct path *at, json_t *object, const char *const *known);

enum check_need { CHECK_OPTIONAL, CHECK_REQUIRED };

/* The member's text, 1 to max_bytes bytes without control characters; borrowed from the object.
 * NULL if it is absent or faulty; then a fault was noted, unless it is optional and absent. */
const char *check_text(struct check *c, const struct path *at, const json_t *object,
                       const char *key, size_t max_bytes, enum check_need need);
/* The same for a name, [a-z0-9_]{1,64}. */
const char *check_name(struct check *c, const struct path *at, const json_t *object,
                       const char *key, enum check_need need);
/* One of choices (ends in NULL); fallback if absent, NULL: required. */
const char *check_choice(struct check *c, const struct path *at, const json_t *object,
                         const char *key, const char *const *choices, const char *fallback);
/* "currency": three lower-case letters. */
const char *check_currency(struct check *c, const struct path *at, const json_t *object);
/* A decimal from 0 in a string. False if it is absent or faulty. */
bool check_decimal(struct check *c, const struct path *at, const json_t *object, const char *key,
                   struct dec *out);
/* A whole number from 0, a JSON integer. */
int64_t check_whole(struct check *c, const struct path *at, const json_t *object, const char *key);
/* true or false; false if absent. */
bool check_bool(struct check *c, const struct path *at, const json_t *object, const char *key);

/* The element of array, before end, whose key has this text; NULL if there is none. */
json_t *check_find_by(json_t *array, size_t end, const char *key, const char *text);
/* A fault if an element of array before index has the same text under key. */
void check_unique_text(struct check *c, const struct path *at, json_t *array, size_t index,
                       const char *key);
/* A text member, or JSON null for NULL. */
void check_set_text(json_t *row, const char *key, const char *text);

#endif
