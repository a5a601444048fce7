#include "aggregator/stream/arena.h"

#include "common/str.h"

#include <assert.h>
#include <stdlib.h>

#define CHUNK_BYTES (256U * 1024)

struct arena_chunk {
    struct arena_chunk *next;
    size_t size; /* of data */
    size_t used;
    char data[];
};

static struct arena_chunk *take_chunk(struct arena *a, size_t size)
{
    struct arena_chunk *chunk = a->spare;
    if (chunk && size <= CHUNK_BYTES) {
        a->spare = chunk->next;
    } else {
        chunk = xmalloc(sizeof(*chunk) + (size > CHUNK_BYTES ? size : CHUNK_BYTES));
        chunk->size = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        a->held_bytes += chunk->size;
    }
    chunk->used = 0;
    return chunk;
}

char *arena_reserve(struct arena *a, size_t size)
{
    if (!a->filling || a->filling->size - a->filling->used < size) {
        struct arena_chunk *chunk = take_chunk(a, size);
        chunk->next = a->filling;
        a->filling = chunk;
    }
    return a->filling->data + a->filling->used;
}

void arena_commit(struct arena *a, size_t used)
{
    assert(used <= a->filling->size - a->filling->used);
    a->filling->used += used;
}

struct text arena_copy(struct arena *a, const char *data, uint32_t length)
{
    char *at = arena_reserve(a, length);
    if (length > 0)
        memcpy(at, data, length);
    arena_commit(a, length);
    return (struct text){.data = at, .length = length};
}

static void free_chunk(struct arena *a, struct arena_chunk *chunk)
{
    a->held_bytes -= chunk->size;
    free(chunk);
}

void arena_clear(struct arena *a)
{
    struct arena_chunk *chunk;
    while ((chunk = a->filling)) {
        a->filling = chunk->next;
        if (chunk->size > CHUNK_BYTES) {
            free_chunk(a, chunk);
        } else {
            chunk->next = a->spare;
            a->spare = chunk;
        }
    }
}

void arena_done(struct arena *a)
{
    arena_clear(a);
    struct arena_chunk *chunk;
    while ((chunk = a->spare)) {
        a->spare = chunk->next;
        free_chunk(a, chunk);
    }
}
