/* Any bytes as Redis' answers: the first says in what steps they come. However they come, they make
 * the same entries, or the same error after the same entries. */
#include "aggregator/stream/xread.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

/* What a run of replies came to. */
struct decoded {
    struct entries entries;
    struct err error; /* that ended it; or of the last reply */
    unsigned replies;
    unsigned refusals;
};

static void must_hold(const struct entries *e)
{
    size_t bytes = 0;
    uint32_t strings = 0;

    for (uint32_t i = 0; i < e->count; i++) {
        const struct text *fields = entries_fields(e, i);
        size_t entry_bytes = 0;
        assert(e->list[i].first_field == strings && e->list[i].fields % 2 == 0);
        for (uint32_t k = 0; k < e->list[i].fields; k++)
            entry_bytes += fields[k].length;
        assert(entry_bytes == e->list[i].bytes);
        bytes += entry_bytes;
        strings += e->list[i].fields;
    }
    assert(bytes == e->bytes && strings == e->strings_count);
}

/* Returns false when the bytes make no sense. */
static bool take_replies(struct xread *x, size_t n, struct decoded *out)
{
    uint32_t before = out->entries.count;
    struct err e;
    int ended;

    while ((ended = xread_take(x, n, &e)) == 1) {
        assert(e.kind == ERR_NONE || out->entries.count == before);
        out->replies++;
        out->refusals += e.kind != ERR_NONE;
        out->error = e;
        before = out->entries.count;
        n = 0;
    }
    if (ended < 0)
        out->error = e;
    return ended == 0;
}

/* seed 0: pieces as large as can be; else of up to most bytes, by chance. */
static void decode(const uint8_t *data, size_t size, uint32_t seed, uint32_t most,
                   struct decoded *out)
{
    struct xread x = {0};
    bool goes_on = true;

    xread_target(&x, &out->entries);
    for (size_t at = 0; at < size && goes_on;) {
        size_t room;
        char *to = xread_reserve(&x, &room);
        assert(room > 0);
        seed = seed * 1664525 + 1013904223;
        if (most > 0 && room > (seed >> 8) % most + 1)
            room = (seed >> 8) % most + 1;
        if (room > size - at)
            room = size - at;
        memcpy(to, data + at, room);
        at += room;
        goes_on = take_replies(&x, room, out);
    }
    xread_restart(&x); /* what broke off is taken back */
    xread_done(&x);
    must_hold(&out->entries);
}

static void must_be_same(const struct entries *a, const struct entries *b)
{
    assert(a->count == b->count && a->strings_count == b->strings_count);
    for (uint32_t i = 0; i < a->count; i++) {
        assert(a->list[i].ms == b->list[i].ms && a->list[i].seq == b->list[i].seq);
        assert(a->list[i].fields == b->list[i].fields);
    }
    for (uint32_t i = 0; i < a->strings_count; i++)
        assert(text_equal(a->strings[i], b->strings[i]));
}

static void fuzz_entries(const uint8_t *data, size_t size)
{
    struct decoded whole = {0};
    struct decoded pieces = {0};
    uint32_t step = size == 0 ? 0 : data[0];

    if (size == 0)
        return;
    decode(data + 1, size - 1, 0, 0, &whole);
    decode(data + 1, size - 1, step, step % 16 == 0 ? 1 : step * 4, &pieces);
    must_be_same(&whole.entries, &pieces.entries);
    assert(whole.replies == pieces.replies && whole.refusals == pieces.refusals);
    assert(whole.error.kind == pieces.error.kind);
    assert(strcmp(whole.error.text, pieces.error.text) == 0);
    entries_done(&whole.entries);
    entries_done(&pieces.entries);
}

FUZZ_TARGET(fuzz_entries)
