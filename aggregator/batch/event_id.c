#include "aggregator/batch/event_id.h"

#include "aggregator/stream/entry_id.h"
#include "common/contract.h"

#include <stdbool.h>
#include <string.h>

/* Decimal digits of the value, without a NUL. Returns where they end. */
static char *write_u64(char *at, uint64_t value)
{
    char digits[20];
    int count = 0;
    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

uint32_t event_default_id(char *out, struct text stream, uint64_t ms, uint64_t seq)
{
    char *at = out;
    memcpy(at, stream.data, stream.length);
    at += stream.length;
    *at++ = '/';
    at = write_u64(at, ms);
    *at++ = '-';
    at = write_u64(at, seq);
    return (uint32_t)(at - out);
}

/* What follows the decimal digits at the text's beginning, which have no leading zero; NULL data if
 * there are none. */
static struct text after_number(struct text t)
{
    uint32_t n = 0;
    while (n < t.length && t.data[n] >= '0' && t.data[n] <= '9')
        n++;
    if (n == 0 || (n > 1 && t.data[0] == '0'))
        return (struct text){.data = NULL};
    return (struct text){.data = t.data + n, .length = t.length - n};
}

/* What follows the prefix; NULL data if the text has another one. */
static struct text after(struct text t, struct text prefix)
{
    if (!t.data || t.length < prefix.length || memcmp(t.data, prefix.data, prefix.length) != 0)
        return (struct text){.data = NULL};
    return (struct text){.data = t.data + prefix.length, .length = t.length - prefix.length};
}

/* What follows "{<shard>}", if it begins like that. */
static struct text after_shard(struct text t)
{
    struct text number = after(t, TEXT(":{"));
    if (!number.data)
        return t;
    return after(after_number(number), TEXT("}"));
}

enum id_domain event_id_domain(struct text id)
{
    struct text rest = after(id, TEXT(STREAM_KEY));
    if (!rest.data)
        return ID_GIVEN;
    rest = after(after_shard(rest), TEXT("/"));
    struct entry_id entry;
    if (!rest.data || entry_id_parse_bytes(rest.data, rest.length, &entry) != 0)
        return ID_GIVEN;
    struct text sequence = after(after_number(rest), TEXT("-"));
    return sequence.data && after_number(sequence).data ? ID_DEFAULT : ID_GIVEN;
}

enum { UUID_LENGTH = 36, UUID_DIGITS = 32, ULID_LENGTH = 26, KSUID_LENGTH = 27, NO_DIGIT = 255 };

#define KSUID_EPOCH_S 1400000000LL /* 2014-05-13 16:53:20 UTC */

static unsigned digit_of(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'Z' ? c - 'A' + 10 : NO_DIGIT;
}

/* Append n hexadecimal digits. */
static bool add_hex(const char *s, int n, uint64_t *value)
{
    for (int i = 0; i < n; i++) {
        unsigned digit = digit_of((unsigned char)s[i]);
        if (digit > 15)
            return false;
        *value = *value << 4 | digit;
    }
    return true;
}

/* After the time come version and variant. high: 8 digits of the time; low: the other 4; version,
 * variant: one digit. */
static int64_t uuid_time_ms(const char *high, const char *low, char version, char variant)
{
    unsigned bits = digit_of((unsigned char)variant);
    uint64_t ms = 0;
    if (version != '7' || bits < 8 || bits > 11 || !add_hex(high, 8, &ms) || !add_hex(low, 4, &ms))
        return ID_TIME_NONE;
    return (int64_t)ms;
}

/* Crockford's base 32: letters without I, L, O and U. */
static unsigned digit_of_32(unsigned char c)
{
    static const char LEFT_OUT[] = {'i' - 'a' + 10, 'l' - 'a' + 10, 'o' - 'a' + 10, 'u' - 'a' + 10};
    unsigned digit = digit_of(c);
    unsigned below = 0;
    for (size_t i = 0; i < sizeof LEFT_OUT; i++) {
        if (digit == (unsigned)LEFT_OUT[i])
            return NO_DIGIT;
        below += digit > (unsigned)LEFT_OUT[i];
    }
    return digit == NO_DIGIT ? NO_DIGIT : digit - below;
}

/* 10 digits of time, of which the first is at most 7, then 16 that are random. */
static int64_t ulid_time_ms(const char *s)
{
    uint64_t ms = 0;
    if (digit_of_32((unsigned char)s[0]) > 7)
        return ID_TIME_NONE;
    for (int i = 0; i < ULID_LENGTH; i++) {
        unsigned digit = digit_of_32((unsigned char)s[i]);
        if (digit == NO_DIGIT)
            return ID_TIME_NONE;
        if (i < 10)
            ms = ms << 5 | digit;
    }
    return (int64_t)ms;
}

/* Base 62: digits, then capitals, then small letters. */
static unsigned digit_of_62(unsigned char c)
{
    unsigned digit = digit_of(c);
    return digit != NO_DIGIT && c >= 'a' ? digit + 26 : digit;
}

/* One number of 160 bits: 32 of time, in s, then 128 that are random. */
static int64_t ksuid_time_ms(const char *s)
{
    uint32_t words[5] = {0};
    for (int i = 0; i < KSUID_LENGTH; i++) {
        uint64_t carry = digit_of_62((unsigned char)s[i]);
        if (carry == NO_DIGIT)
            return ID_TIME_NONE;
        for (int w = 4; w >= 0; w--) {
            carry += (uint64_t)words[w] * 62;
            words[w] = (uint32_t)carry;
            carry >>= 32;
        }
        if (carry > 0)
            return ID_TIME_NONE;
    }
    return (KSUID_EPOCH_S + words[0]) * 1000;
}

static struct text without_prefix(struct text id)
{
    const char *last = memrchr(id.data, '_', id.length);
    uint32_t n = !last ? 0 : (uint32_t)(last - id.data) + 1;
    return (struct text){.data = id.data + n, .length = id.length - n};
}

int64_t id_time_ms(struct text id)
{
    if (id.length < ULID_LENGTH)
        return ID_TIME_NONE;
    id = without_prefix(id);
    const char *s = id.data;
    switch (id.length) {
    case UUID_LENGTH:
        if (s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-')
            return ID_TIME_NONE;
        return uuid_time_ms(s, s + 9, s[14], s[19]);
    case UUID_DIGITS:
        return uuid_time_ms(s, s + 8, s[12], s[16]);
    case ULID_LENGTH:
        return ulid_time_ms(s);
    case KSUID_LENGTH:
        return ksuid_time_ms(s);
    default:
        return ID_TIME_NONE;
    }
}
