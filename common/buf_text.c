/* Text forms that other programs read: form encoding, JSON strings, base64. */
#include "common/str.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           (c && strchr("-_.~", c));
}

void buf_add_urlencoded(struct buf *b, const char *s, size_t length)
{
    buf_reserve(b, length);
    for (size_t i = 0; i < length; i++) {
        if (is_unreserved(s[i]))
            buf_add_char(b, s[i]);
        else
            buf_printf(b, "%%%02X", (unsigned char)s[i]);
    }
}

static void add_json_escape(struct buf *b, char c)
{
    static const char shorts[] = "\"\\\b\f\n\r\t";
    static const char names[] = "\"\\bfnrt";
    const char *found = c ? strchr(shorts, c) : NULL;
    if (found)
        buf_printf(b, "\\%c", names[found - shorts]);
    else
        buf_printf(b, "\\u%04x", (unsigned char)c);
}

void buf_add_json_str(struct buf *b, const char *s, size_t length)
{
    size_t plain = 0; /* bytes before i that go out as they are */
    buf_reserve(b, length + 2);
    buf_add_char(b, '"');
    for (size_t i = 0; i < length; i++) {
        if ((unsigned char)s[i] >= 0x20 && s[i] != '"' && s[i] != '\\')
            continue;
        buf_add(b, s + plain, i - plain);
        add_json_escape(b, s[i]);
        plain = i + 1;
    }
    buf_add(b, s + plain, length - plain);
    buf_add_char(b, '"');
}

void buf_add_base64(struct buf *b, const void *data, size_t length)
{
    size_t size = sodium_base64_encoded_len(length, sodium_base64_VARIANT_ORIGINAL);
    buf_reserve(b, size);
    sodium_bin2base64(b->data + b->length, size, data, length, sodium_base64_VARIANT_ORIGINAL);
    b->length += size - 1; /* size counts a NUL */
}
