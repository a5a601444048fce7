/* What an event's id tells: which entry it is of, or when it was made.
 *
 * An entry without an id of its own has "<stream>/<ms>-<seq>" by default. Whoever sends it again,
 * from rejected_events or from a stream that it was wrong in, gives it just that id: so an id that
 * reads like one is the same key. */
#ifndef METERLINE_EVENT_ID_H
#define METERLINE_EVENT_ID_H

#include "aggregator/batch/event.h"

#include <stdint.h>

/* The only copy of an entry has it, whoever reads it again. out: room for the stream's length and
 * so many bytes more. Returns the id's length; it is not terminated. */
enum { DEFAULT_ID_MORE_BYTES = 42 };
uint32_t event_default_id(char *out, struct text stream, uint64_t ms, uint64_t seq);

/* Of an id that was given: ID_DEFAULT if it is just as it would be made for an entry of one of our
 * streams, by whatever number of shards; else ID_GIVEN. */
enum id_domain event_id_domain(struct text id);

/* The time that an id tells, if it is of a kind that begins with the time it was made at: UUIDv7
 * (RFC 9562; with hyphens or without), ULID (github.com/ulid/spec; so are TypeIDs) and KSUID
 * (github.com/segmentio/ksuid), in either case of letters where the kind allows it, and also after
 * a prefix that ends in "_", such as "order_01J…". Unix ms, or ID_TIME_NONE.
 *
 * Equal ids tell equal times, and nothing else is relied on: an id that only looks like one of them
 * is looked for at a time that means nothing, and found there. */
#define ID_TIME_NONE INT64_MIN
int64_t id_time_ms(struct text id);

#endif
