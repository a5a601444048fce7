#include "common/str.h"

#include <sodium.h>
#include <string.h>

#define UUID_BYTES       16
#define UUID_TEXT_LENGTH (UUID_TEXT_SIZE - 1)

static bool is_hyphen_place(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

void uuid_v7(int64_t unix_ms, char out[UUID_TEXT_SIZE])
{
    unsigned char bytes[UUID_BYTES];
    randombytes_buf(bytes, sizeof bytes);
    for (int i = 0; i < 6; i++)
        bytes[i] = (unsigned char)(unix_ms >> (40 - 8 * i));
    bytes[6] = (unsigned char)(0x70 | (bytes[6] & 0x0f)); /* version 7 */
    bytes[8] = (unsigned char)(0x80 | (bytes[8] & 0x3f)); /* variant 10 */
    uuid_format(bytes, out);
}

/* 0 to 15, or -1. */
static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int uuid_parse(const char *s, size_t length, unsigned char out[16])
{
    unsigned char bytes[UUID_BYTES] = {0};
    size_t digits = 0;
    if (length != UUID_TEXT_LENGTH)
        return -1;
    for (size_t i = 0; i < length; i++) {
        if (is_hyphen_place(i) && s[i] == '-')
            continue;
        int value = hex_value(s[i]);
        if (is_hyphen_place(i) || value < 0)
            return -1;
        bytes[digits / 2] = (unsigned char)(bytes[digits / 2] << 4 | value);
        digits++;
    }
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
