#include "common/str.h"

#include <endian.h>
#include <sodium.h>
#include <string.h>

#define UUID_BYTES       16
#define UUID_TEXT_LENGTH (UUID_TEXT_SIZE - 1)
#define EVERY_BYTE(b)    (0x0101010101010101ULL * (b))

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
