/* The time that an id tells, if it is of a kind that begins with the time it was made at: UUIDv7
 * (RFC 9562; with hyphens or without), ULID (github.com/ulid/spec; so are TypeIDs) and KSUID
 * (github.com/segmentio/ksuid), in either case of letters where the kind allows it, and also after
 * a prefix that ends in "_", such as "order_01J…".
 *
 * Equal ids tell equal times, and that is all that is relied on: an id that only looks like one of
 * them is looked for at a time that means nothing, and found there. */
#ifndef METERLINE_ID_TIME_H
#define METERLINE_ID_TIME_H

#include "aggregator/stream/text.h"

#include <stdint.h>

#define ID_TIME_NONE INT64_MIN

/* Unix ms, or ID_TIME_NONE. */
int64_t id_time_ms(struct text id);

#endif
