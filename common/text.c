/* Text that comes from outside: checking it, masking the passwords in it, UUIDs. All pure but for
 * the random bytes of a new UUID. */
#include "common/str.h"

#include <endian.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#define EVERY_BYTE(b)    (0x0101010101010101ULL * (b))
#define NAME_MAX_BYTES   64
#define UUID_BYTES       16
#define UUID_TEXT_LENGTH (UUID_TEXT_SIZE - 1)

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
    return ((word | (word - EVERY_BYTE(0x01))) & EVERY_BYTE(0x80)) == 0;
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
void str_make_utf8(char *s)
{
    size_t left = strlen(s);
    while (left > 0) {
        size_t bytes = str_utf8_char(s, left);
        if (bytes == 0)
            *s = '?';
        s += bytes > 0 ? bytes : 1;
        left -= bytes > 0 ? bytes : 1;
    }
}

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

/* Passwords out of URLs and connection strings. Where a text is ambiguous (a raw '@' or '/' in a
 * password, say) more is masked rather than less. */

static const char MASK[] = "***";

/* Add s, but for the password of scheme://user:password@rest. It reaches to the last '@', because a
 * password may hold one that is not encoded. */
static void add_without_userinfo(struct buf *out, const char *s)
{
    const char *authority = strstr(s, "://");
    const char *at = strrchr(s, '@');
    const char *colon = authority ? strchr(authority + 3, ':') : NULL;
    if (!at || !colon || colon > at) {
        buf_add_str(out, s);
        return;
    }
    buf_add(out, s, (size_t)(colon + 1 - s));
    buf_add_str(out, MASK);
    buf_add_str(out, at);
}

/* The first byte of the value of a parameter whose name ends in "password", or NULL. Both
 * "?password=x" and libpq's "password = x" are taken. */
static const char *find_password(const char *s)
{
    while ((s = strcasestr(s, "password"))) {
        s += strlen("password");
        const char *sign = s + strspn(s, " \t\n");
        if (*sign == '=')
            return sign + 1 + strspn(sign + 1, " \t\n");
    }
    return NULL;
}

char *str_mask_url(const char *url)
{
    struct buf first = {0};
    struct buf out = {0};
    const char *value;
    add_without_userinfo(&first, url);
    const char *rest = first.data;
    while ((value = find_password(rest))) {
        buf_add(&out, rest, (size_t)(value - rest));
        buf_add_str(&out, MASK);
        /* A quoted value may hold spaces and escaped quotes: all that follows is left out. */
        rest = value + (*value == '\'' ? strlen(value) : strcspn(value, "& \t\n"));
    }
    buf_add_str(&out, rest);
    buf_done(&first);
    return buf_take(&out);
}

static bool is_hyphen_place(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

void uuid_v7(int64_t unix_ms, char out[UUID_TEXT_SIZE])
{
    unsigned char random[UUID_RANDOM_BYTES];
    randombytes_buf(random, sizeof random);
    uuid_v7_of(unix_ms, random, out);
}

void uuid_v7_of(int64_t unix_ms, const unsigned char random[UUID_RANDOM_BYTES],
                char out[UUID_TEXT_SIZE])
{
    unsigned char bytes[UUID_BYTES];
    for (int i = 0; i < UUID_BYTES - UUID_RANDOM_BYTES; i++)
        bytes[i] = (unsigned char)(unix_ms >> (40 - 8 * i));
    memcpy(bytes + UUID_BYTES - UUID_RANDOM_BYTES, random, UUID_RANDOM_BYTES);
    bytes[6] = (unsigned char)(0x70 | (bytes[6] & 0x0f)); /* version 7 */
    bytes[8] = (unsigned char)(0x80 | (bytes[8] & 0x3f)); /* variant 10 */
    uuid_format(bytes, out);
}

/* Eight hex digits into four bytes, all at once: each byte of the word becomes its digit's value,
 * and must be the character that this value is written as. */
static bool parse_eight(uint64_t text, unsigned char out[4])
{
    uint64_t word = le64toh(text); /* the first digit in the lowest byte */
    uint64_t is_letter = word >> 6 & EVERY_BYTE(0x01);
    uint64_t values = (word & EVERY_BYTE(0x0f)) + is_letter * 9;
    uint64_t above_9 = (values + EVERY_BYTE(6)) >> 4 & EVERY_BYTE(0x01);
    uint64_t written = values + EVERY_BYTE('0') + above_9 * ('a' - 10 - '0');
    if (written != word || (values & EVERY_BYTE(0x10)))
        return false;
    uint64_t pairs = (values << 4 | values >> 8) & 0x00ff00ff00ff00ffULL;
    pairs = (pairs | pairs >> 8) & 0x0000ffff0000ffffULL;
    uint32_t bytes = htole32((uint32_t)(pairs | pairs >> 16));
    memcpy(out, &bytes, sizeof bytes);
    return true;
}

int uuid_parse(const char *s, size_t length, unsigned char out[16])
{
    uint64_t words[4]; /* the digits without the hyphens */
    unsigned char bytes[UUID_BYTES];
    if (length != UUID_TEXT_LENGTH || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-')
        return -1;
    memcpy(&words[0], s, 8);
    memcpy(&words[1], s + 9, 4);
    memcpy((char *)&words[1] + 4, s + 14, 4);
    memcpy(&words[2], s + 19, 4);
    memcpy((char *)&words[2] + 4, s + 24, 4);
    memcpy(&words[3], s + 28, 8);
    for (int i = 0; i < 4; i++)
        if (!parse_eight(words[i], bytes + 4 * i))
            return -1;
    memcpy(out, bytes, sizeof bytes);
    return 0;
}

void uuid_format(const unsigned char in[16], char out[UUID_TEXT_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    size_t digits = 0;
    for (size_t i = 0; i < UUID_TEXT_LENGTH; i++) {
        if (is_hyphen_place(i)) {
            out[i] = '-';
            continue;
        }
        unsigned char byte = in[digits / 2];
        out[i] = hex[digits % 2 ? byte & 0xf : byte >> 4];
        digits++;
    }
    out[UUID_TEXT_LENGTH] = '\0';
}
