/* Checks on text that comes from outside. All pure. */
#include "common/str.h"

#include <string.h>

#define EVERY_BYTE_01  0x0101010101010101ULL
#define EVERY_BYTE_80  0x8080808080808080ULL
#define NAME_MAX_BYTES 64

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* The bytes that a lead byte announces. 80 to c1 (continuations, overlong forms) and f5 to ff
 * (beyond U+10FFFF) announce none. */
static size_t announced_bytes(unsigned char lead)
{
    if (lead < 0x80)
        return lead != 0;
    if (lead < 0xc2)
        return 0;
    if (lead < 0xe0)
        return 2;
    if (lead < 0xf0)
        return 3;
    return lead < 0xf5 ? 4 : 0;
}

/* Four lead bytes narrow the second byte: e0 and f0 begin overlong forms, ed surrogates, and f4
 * what lies beyond U+10FFFF. */
static bool second_byte_fits(unsigned char lead, unsigned char second)
{
    if (lead == 0xe0)
        return second >= 0xa0;
    if (lead == 0xed)
        return second < 0xa0;
    if (lead == 0xf0)
        return second >= 0x90;
    return lead != 0xf4 || second < 0x90;
}

size_t str_utf8_char(const char *s, size_t length)
{
    const unsigned char *at = (const unsigned char *)s;
    size_t bytes = length ? announced_bytes(at[0]) : 0;
    if (bytes > length)
        return 0;
    for (size_t i = 1; i < bytes; i++)
        if (!is_continuation(at[i]))
            return 0;
    return bytes < 2 || second_byte_fits(at[0], at[1]) ? bytes : 0;
}

/* True for eight bytes from 01 to 7f: no high bit is set, nor is one after taking 1 from each. */
static bool is_ascii_word(const char *s)
{
    uint64_t word;
    memcpy(&word, s, sizeof word);
    return ((word | (word - EVERY_BYTE_01)) & EVERY_BYTE_80) == 0;
}

bool str_is_utf8(const char *s, size_t length)
{
    const char *end = s + length;
    while (s < end) {
        if (end - s >= 8 && is_ascii_word(s)) {
            s += 8;
            continue;
        }
        size_t bytes = *s > 0 ? 1 : str_utf8_char(s, (size_t)(end - s));
        if (bytes == 0)
            return false;
        s += bytes;
    }
    return true;
}

/* U+0080 to U+009F are the bytes c2 80 to c2 9f. */
static bool is_high_control(const char *s, size_t left)
{
    return (unsigned char)s[0] == 0xc2 && left > 1 && (unsigned char)s[1] >= 0x80 &&
           (unsigned char)s[1] < 0xa0;
}

bool str_has_control(const char *s, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f || is_high_control(s + i, length - i))
            return true;
    return false;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

bool str_is_name(const char *s, size_t length)
{
    if (length < 1 || length > NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < length; i++)
        if (!is_name_char(s[i]))
            return false;
    return true;
}

int str_to_i64(const char *s, size_t length, int64_t *out)
{
    bool negative = length > 0 && s[0] == '-';
    int64_t value = 0;
    if (length == (size_t)negative)
        return -1;
    for (size_t i = negative; i < length; i++) {
        /* Negative values are built downwards, as INT64_MIN has no positive twin. */
        int digit = s[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, negative ? -digit : digit, &value))
            return -1;
    }
    *out = value;
    return 0;
}

/* Shifts four bits into the sum. The polynomial's terms lie so far apart that multiplying it by
 * four bits makes no carry: the product is the entry that a table would hold. */
static unsigned crc16_nibble(unsigned crc, unsigned nibble)
{
    return (crc << 4 & 0xffff) ^ ((crc >> 12 ^ nibble) & 0xf) * 0x1021;
}

uint16_t str_crc16(const char *s, size_t length)
{
    unsigned crc = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)s[i];
        crc = crc16_nibble(crc, byte >> 4);
        crc = crc16_nibble(crc, byte & 0xf);
    }
    return (uint16_t)crc;
}
