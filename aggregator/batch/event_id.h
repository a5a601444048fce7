/* Ids by default. An entry without an id of its own has "<stream>/<ms>-<seq>". Who sends it again,
 * from rejected_events or from a stream that it was wrong in, gives it just that id: so an id that
 * reads like one is the same key. */
#ifndef METERLINE_EVENT_ID_H
#define METERLINE_EVENT_ID_H

#include "aggregator/batch/event.h"

/* The only copy of an entry has it, whoever reads it again. out: room for the stream's length and
 * so many bytes more. Returns the id's length; it is not terminated. */
enum { DEFAULT_ID_MORE_BYTES = 42 };
uint32_t event_default_id(char *out, struct text stream, uint64_t ms, uint64_t seq);

/* Of an id that was given: ID_DEFAULT if it is just as it would be made for an entry of one of our
 * streams, by whatever number of shards; else ID_GIVEN. */
enum id_domain event_id_domain(struct text id);

#endif
