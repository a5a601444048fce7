#include "aggregator/stream/stream_name.h"

#include "common/contract.h"

#include <stdio.h>
#include <string.h>

void stream_name(int64_t number, int64_t shards, char out[STREAM_NAME_SIZE])
{
    if (shards == 1)
        snprintf(out, STREAM_NAME_SIZE, "%s", STREAM_KEY);
    else
        snprintf(out, STREAM_NAME_SIZE, STREAM_SHARD_KEY, (int)number);
}

bool stream_name_is_current(const char *stream, int64_t shards)
{
    char current[STREAM_NAME_SIZE];
    for (int64_t i = 0; i < shards; i++) {
        stream_name(i, shards, current);
        if (strcmp(current, stream) == 0)
            return true;
    }
    return false;
}

void stream_name_list(int64_t shards, struct pg_array *streams)
{
    char stream[STREAM_NAME_SIZE];
    for (int64_t i = 0; i < shards; i++) {
        stream_name(i, shards, stream);
        pg_array_add_text(streams, stream);
    }
}
