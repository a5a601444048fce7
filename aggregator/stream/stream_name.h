/* The names of the streams: one, or one for each shard. Pure. */
#ifndef METERLINE_STREAM_NAME_H
#define METERLINE_STREAM_NAME_H

#include "common/pg/pg_array.h"

#include <stdbool.h>
#include <stdint.h>

/* RETIRED: the number of a stream that belongs to an earlier number of shards. */
enum { STREAM_NAME_SIZE = 32, RETIRED = -1 };

void stream_name(int64_t number, int64_t shards, char out[STREAM_NAME_SIZE]);
/* It is the name of one of so many. */
bool stream_name_is_current(const char *stream, int64_t shards);
/* The names of all of them, appended (PG_TEXT). */
void stream_name_list(int64_t shards, struct pg_array *streams);

#endif
