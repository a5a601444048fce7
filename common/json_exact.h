/* Reading JSON without losing digits. jansson reads 5.0 as a double. Here every number other than
 * an integer of at most 18 digits becomes a string with the number's text, so that no usage passes
 * through floating point. */
#ifndef METERLINE_JSON_EXACT_H
#define METERLINE_JSON_EXACT_H

#include "common/dec.h"

#include <jansson.h>
#include <stddef.h>

/* Returns the value, which the caller must json_decref, or NULL if text (length bytes) is not JSON.
 */
json_t *json_exact_load(const char *text, size_t length);

/* The number that json_exact_load made value of. Returns 0, or -1 with *out untouched: not a
 * number, one with an exponent, or one with more digits than a dec has. */
int json_exact_dec(const json_t *value, struct dec *out);

#endif
