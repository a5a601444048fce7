/* A segment of the spool that was damaged. The input: one byte of how many records, a byte of
 * length for each, then damage: three bytes each, place and what is turned over there. What is read
 * was written, and what was not damaged is read. */
#include "emitter/spool/segment.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SPOOL_RECORDS = 16, SPOOL_SIZE = 32768 };

struct spool_written {
    size_t at;
    size_t length;
    bool is_damaged;
    bool is_read;
};

static const char *spool_folder(void)
{
    static char folder[] = "/tmp/meterline-fuzz-XXXXXX";
    static bool is_made;
    if (!is_made) {
        is_made = sodium_init() >= 0 && mkdtemp(folder) != NULL;
        assert(is_made);
    }
    return folder;
}

static void fill_record(char *out, size_t length, int number)
{
    for (size_t i = 0; i < length; i++)
        out[i] = (char)(number * 31 + (int)i);
}

static void must_be_written(const struct segment_record *found, struct spool_written *written,
                            int n)
{
    char wanted[SEGMENT_RECORD_MAX];
    bool was_written = false;
    for (int i = 0; i < n; i++)
        if (found->end == written[i].at + segment_room_of(written[i].length)) {
            fill_record(wanted, written[i].length, i);
            assert(found->length == written[i].length && found->shard == i);
            assert(memcmp(found->data, wanted, found->length) == 0);
            assert(!written[i].is_read);
            was_written = written[i].is_read = true;
        }
    assert(was_written);
}

static void fuzz_spool(const uint8_t *data, size_t size)
{
    struct spool_written written[SPOOL_RECORDS];
    char bytes[SEGMENT_RECORD_MAX];
    struct err e;
    int n = size > 0 ? data[0] % SPOOL_RECORDS : 0;
    bool is_header_damaged = false;
    struct segment *s = segment_create(spool_folder(), 1, SPOOL_SIZE, &e);
    assert(s);
    size_t at = SEGMENT_HEADER_SIZE;
    for (int i = 0; i < n; i++) {
        size_t length = 1 + ((size_t)i + 1 < size ? data[i + 1] : 0);
        written[i] = (struct spool_written){.at = at, .length = length};
        fill_record(bytes, length, i);
        segment_write(s, at, i, bytes, length);
        at += segment_room_of(length);
    }
    for (size_t i = (size_t)n + 1; i + 2 < size; i += 3) {
        size_t place = ((size_t)data[i] << 8 | data[i + 1]) % SPOOL_SIZE;
        s->bytes[place] = (char)(s->bytes[place] ^ data[i + 2]);
        is_header_damaged = is_header_damaged || (place < SEGMENT_HEADER_SIZE && data[i + 2]);
        for (int k = 0; k < n; k++)
            if (place >= written[k].at &&
                place < written[k].at + segment_room_of(written[k].length))
                written[k].is_damaged = true;
    }
    char *path = strdup(s->path);
    segment_free(s);
    struct segment *again = segment_open(path, 1, &e);
    assert(again || is_header_damaged);
    struct segment_record found;
    while (again && segment_next(again, &found))
        must_be_written(&found, written, n);
    for (int i = 0; i < n && !is_header_damaged; i++)
        assert(written[i].is_read || written[i].is_damaged);
    if (again)
        segment_free(again);
    unlink(path);
    free(path);
}

FUZZ_TARGET(fuzz_spool)
