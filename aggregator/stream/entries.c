#include "aggregator/stream/entries.h"

#include "common/str.h"

#include <assert.h>
#include <stdlib.h>

void entries_clear(struct entries *e)
{
    e->count = 0;
    e->strings_count = 0;
    e->bytes = 0;
    e->clears++;
    arena_clear(&e->arena);
}

void entries_done(struct entries *e)
{
    arena_done(&e->arena);
    free(e->list);
    free(e->strings);
    *e = (struct entries){.clears = e->clears + 1};
}

void entries_add(struct entries *e, uint64_t ms, uint64_t seq)
{
    if (e->count == e->capacity) {
        assert(e->capacity <= UINT32_MAX / 2);
        e->capacity = e->capacity == 0 ? 1024 : e->capacity * 2;
        e->list = xrealloc(e->list, e->capacity * sizeof(*e->list));
    }
    e->list[e->count++] = (struct entry){.ms = ms, .seq = seq, .first_field = e->strings_count};
}

void entries_grow_strings(struct entries *e)
{
    assert(e->strings_capacity <= UINT32_MAX / 2);
    e->strings_capacity = e->strings_capacity == 0 ? 8192 : e->strings_capacity * 2;
    e->strings = xrealloc(e->strings, e->strings_capacity * sizeof(*e->strings));
}

static void add_string(struct entries *e, struct text string)
{
    struct entry *entry = &e->list[e->count - 1];

    if (e->strings_count == e->strings_capacity)
        entries_grow_strings(e);
    e->strings[e->strings_count++] = arena_copy(&e->arena, string.data, string.length);
    entry->fields++;
    entry->bytes += string.length;
    e->bytes += string.length;
}

void entries_add_field(struct entries *e, struct text name, struct text value)
{
    add_string(e, name);
    add_string(e, value);
}
