#include "aggregator/stream/entry_id.h"

#include "common/contract.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_BYTE(b) (0x0101010101010101ULL * (b))

/* Eight digits at once: pairs of them, then pairs of pairs. Returns false if one is none. */
static bool parse_eight(const char *at, uint64_t *out)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    word = le64toh(word) - EVERY_BYTE('0'); /* the first digit in the lowest byte */
    if ((word | (word + EVERY_BYTE(0x7f - 9))) & EVERY_BYTE(0x80))
        return false;
    word = (word * 10 + (word >> 8)) & 0x00ff00ff00ff00ffULL;
    word = (word * 100 + (word >> 16)) & 0x0000ffff0000ffffULL;
    *out = (word * 10000 + (word >> 32)) & UINT32_MAX;
    return true;
}

/* Decimal digits of 64 bits. Returns what follows them, or NULL. */
static const char *parse_half(const char *at, const char *end, uint64_t *out)
{
    const char *start = at;
    uint64_t value = 0;
    if (end - at >= 8 && parse_eight(at, &value))
        at += 8;
    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value >= UINT64_MAX / 10 && (value > UINT64_MAX / 10 || digit > UINT64_MAX % 10))
            return NULL;
        value = value * 10 + digit;
    }
    *out = value;
    return at == start ? NULL : at;
}

int entry_id_parse_bytes(const char *data, size_t length, struct entry_id *out)
{
    const char *end = data + length;
    struct entry_id id;
    const char *at = parse_half(data, end, &id.ms);
    if (!at || at == end || *at != '-' || parse_half(at + 1, end, &id.seq) != end)
        return -1;
    *out = id;
    return 0;
}

int entry_id_parse(const char *text, struct entry_id *out)
{
    return entry_id_parse_bytes(text, strlen(text), out);
}

struct entry_id entry_id_of(const char *text)
{
    struct entry_id id;
    if (entry_id_parse(text, &id) != 0)
        abort();
    return id;
}

void entry_id_format(struct entry_id id, char out[ENTRY_ID_TEXT_SIZE])
{
    snprintf(out, ENTRY_ID_TEXT_SIZE, "%llu-%llu", (unsigned long long)id.ms,
             (unsigned long long)id.seq);
}

int entry_id_compare(struct entry_id a, struct entry_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return (a.seq > b.seq) - (a.seq < b.seq);
}

int64_t entry_id_bits(uint64_t half)
{
    return half < INT64_MAX ? (int64_t)half : INT64_MAX;
}

bool entry_id_tells_time(struct entry_id id)
{
    return id.ms >= ENTRY_TIME_MIN_MS;
}

int64_t entry_id_time_ms(struct entry_id id, int64_t now_ms)
{
    int64_t most = now_ms + EVENT_ENTRY_FUTURE_MAX_MS;
    if (!entry_id_tells_time(id))
        return now_ms;
    return id.ms < (uint64_t)most ? (int64_t)id.ms : most;
}

struct entry_id entry_id_next(struct entry_id id)
{
    if (id.seq == UINT64_MAX && id.ms == UINT64_MAX)
        return id;
    if (id.seq == UINT64_MAX)
        return (struct entry_id){.ms = id.ms + 1, .seq = 0};
    return (struct entry_id){.ms = id.ms, .seq = id.seq + 1};
}
