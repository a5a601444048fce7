#include "tests/bench/received.h"

#include "common/str.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 1 << 16 };

static const unsigned char FREE[ID_BYTES];

/* Its place, or the free one where it belongs. */
static unsigned char *find(struct received *r, const unsigned char id[ID_BYTES])
{
    size_t at;

    memcpy(&at, id, sizeof at);
    for (;; at++) {
        unsigned char *place = r->ids[at & (r->room - 1)];

        if (!memcmp(place, id, ID_BYTES) || !memcmp(place, FREE, ID_BYTES))
            return place;
    }
}

static void grow(struct received *r)
{
    struct received old = *r;

    r->room = old.room ? 2 * old.room : FIRST_ROOM;
    r->ids = xcalloc(r->room, ID_BYTES);
    for (size_t i = 0; i < old.room; i++)
        if (memcmp(old.ids[i], FREE, ID_BYTES) != 0)
            memcpy(find(r, old.ids[i]), old.ids[i], ID_BYTES);
    free(old.ids);
}

int received_add(struct received *r, const char *identifier, const char *value)
{
    unsigned char id[ID_BYTES];
    unsigned char *place;
    int64_t units;

    if (str_to_i64(value, strlen(value), &units))
        return -1;
    if (2 * (size_t)r->distinct >= r->room)
        grow(r);
    crypto_generichash(id, sizeof id, (const unsigned char *)identifier, strlen(identifier), NULL,
                       0);
    place = find(r, id);
    r->events++;
    if (!memcmp(place, id, ID_BYTES))
        return 0;
    memcpy(place, id, ID_BYTES);
    r->distinct++;
    if (__builtin_add_overflow(r->total, units, &r->total))
        abort();
    return 0;
}

void received_done(struct received *r)
{
    free(r->ids);
}
