/* JSON whose numbers stay exact. jansson reads 5.0 as a double; here every number that is not a
 * plain whole one of at most 18 digits becomes a string with its own text, so that nothing passes
 * through floats. */
#ifndef METERLINE_JSON_EXACT_H
#define METERLINE_JSON_EXACT_H

#include "common/dec.h"

#include <jansson.h>
#include <stddef.h>

/* The value, the caller's to json_decref, or NULL if it is not JSON. text: length bytes. */
json_t *json_exact_load(const char *text, size_t length);

/* A number of such a value. Returns 0, or -1 (no number, an exponent, more digits than a dec has)
 * with *out untouched. */
int json_exact_dec(const json_t *value, struct dec *out);

#endif
