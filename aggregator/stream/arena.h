/* An arena, the memory of one batch: pieces that never move and are all given back at once. Chunks
 * are kept for the next batch, so that a steady stream allocates nothing. */
#ifndef METERLINE_ARENA_H
#define METERLINE_ARENA_H

#include "aggregator/stream/text.h"

#include <stddef.h>

struct arena_chunk; /* opaque: one allocation */

/* Zero-initialise. */
struct arena {
    struct arena_chunk *filling; /* where the next piece comes from; its next were filled before */
    struct arena_chunk *spare;   /* empty chunks of the usual size, kept by arena_clear */
    size_t held_bytes;           /* allocated in all */
};

/* Room for at most size bytes, unaligned; the caller writes and says with arena_commit how many it
 * used. Nothing else may be asked of the arena in between. */
char *arena_reserve(struct arena *a, size_t size);
void arena_commit(struct arena *a, size_t used);

/* A copy that lives until arena_clear. */
struct text arena_copy(struct arena *a, const char *data, uint32_t length);

/* Every piece is gone; usual chunks are kept, larger ones freed. */
void arena_clear(struct arena *a);
void arena_done(struct arena *a); /* frees all */

#endif
