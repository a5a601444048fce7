/* Makes JSON plain that jansson refuses though it is valid (RFC 8259), because a program could not
 * hold it: escapes of NUL and of half a surrogate pair become U+FFFD, numbers beyond what 64 bits
 * or a double hold become null, and so does what is nested too deep. Pure.
 *
 * Of such an event the bytes that came are stored; only reading it goes by the plain text. */
#ifndef METERLINE_ODD_JSON_H
#define METERLINE_ODD_JSON_H

#include "common/str.h"

#include <stddef.h>

/* The text made plain, for json_loadb: what was not JSON is still none. out is appended to. */
void odd_json_make_plain(const char *text, size_t length, struct buf *out);

#endif
