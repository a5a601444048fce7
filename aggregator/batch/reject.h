/* The fields of an entry that was rejected, as rejected_events keeps them and replay reads them:
 *
 *     [["tenant","acme"],["payload",{"base64":"/wA="}],{"truncated_bytes":70000}]
 *
 * One [name, value] a field, in the entry's order. A string that is not UTF-8, or holds a NUL
 * (which jsonb refuses even escaped), is {"base64": …}. The text never passes
 * REJECTED_FIELDS_MAX_BYTES: what does not fit is cut, between characters, and the last element
 * says how many bytes of names and values are missing. Without that element nothing is. */
#ifndef METERLINE_REJECT_H
#define METERLINE_REJECT_H

#include "aggregator/stream/entries.h"
#include "common/str.h"

#include <stdint.h>

/* Append the JSON of one entry to out. */
void reject_fields_json(const struct entries *entries, uint32_t index, struct buf *out);

#endif
