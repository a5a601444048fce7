/* Any bytes as Redis' answer: the first byte says in what steps they come. */
#include "aggregator/entries.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static void must_hold(const struct entries *e)
{
    size_t bytes = 0;
    uint32_t strings = 0;

    for (uint32_t i = 0; i < e->count; i++) {
        const struct text *fields = entries_fields(e, i);
        assert(e->list[i].first_field == strings && e->list[i].fields % 2 == 0);
        for (uint32_t k = 0; k < e->list[i].fields; k++)
            bytes += fields[k].length;
        strings += e->list[i].fields;
    }
    assert(bytes == e->bytes && strings == e->strings_count);
}

static void take_replies(redisReader *hiredis, struct entries_reader *reader)
{
    void *reply = NULL;
    struct err e;

    while (redisReaderGetReply(hiredis, &reply) == REDIS_OK && reply != NULL) {
        uint32_t before = reader->mark_count;
        int result = entries_accept(reader, reply, &e);
        ENTRIES_READER_FUNCTIONS.freeObject(reply);
        assert(result == 0 || reader->target->count == before);
        must_hold(reader->target);
    }
}

static void fuzz_entries(const uint8_t *data, size_t size)
{
    redisReader *hiredis = redisReaderCreateWithFunctions(&ENTRIES_READER_FUNCTIONS);
    struct entries_reader reader = {0};
    struct entries target = {0};
    size_t step = size == 0 ? 1 : data[0] + 1U;

    hiredis->privdata = &reader;
    entries_reader_target(&reader, &target);
    for (size_t at = 1; at < size && hiredis->err == 0; at += step) {
        redisReaderFeed(hiredis, (const char *)data + at, size - at < step ? size - at : step);
        take_replies(hiredis, &reader);
    }
    redisReaderFree(hiredis);
    must_hold(&target); /* what broke off was taken back */
    entries_reader_done(&reader);
    entries_done(&target);
}

FUZZ_TARGET(fuzz_entries)
