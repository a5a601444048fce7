/* Memory, text that grows, and the forms of text that other programs read. */
#include "common/str.h"

#include <assert.h>
#include <endian.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_CAPACITY 64 /* of a buf */

static void *or_abort(void *p)
{
    static const char message[] = "meterline: out of memory\n";
    if (p)
        return p;
    if (write(STDERR_FILENO, message, sizeof message - 1) < 0)
        abort();
    abort();
}

/* A size of 0 may give NULL from malloc, which is not a failure: ask for one byte instead. */
void *xmalloc(size_t size)
{
    return or_abort(malloc(size ? size : 1));
}

void *xcalloc(size_t count, size_t size)
{
    return or_abort(count && size ? calloc(count, size) : calloc(1, 1));
}

void *xrealloc(void *p, size_t size)
{
    return or_abort(realloc(p, size ? size : 1));
}

char *xstrdup(const char *s)
{
    return or_abort(strdup(s));
}

char *xstrndup(const char *s, size_t length)
{
    /* What has no NUL at its end is no string: strndup would be told so by AddressSanitizer. */
    const char *end = memchr(s, '\0', length);
    size_t n = end ? (size_t)(end - s) : length;
    char *copy = xmalloc(n + 1);
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

char *xasprintf(const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int length = vasprintf(&text, format, args);
    va_end(args);
    return or_abort(length < 0 ? NULL : text);
}

/* Room for more bytes and the NUL behind them. */
void buf_reserve(struct buf *b, size_t more)
{
    size_t needed;
    bool overflowed = __builtin_add_overflow(b->length, more, &needed) ||
                      __builtin_add_overflow(needed, 1, &needed);
    assert(!overflowed);
    (void)overflowed;
    if (needed <= b->capacity)
        return;
    size_t capacity = b->capacity > SIZE_MAX / 2 ? SIZE_MAX : b->capacity * 2;
    if (capacity < FIRST_CAPACITY)
        capacity = FIRST_CAPACITY;
    b->capacity = capacity < needed ? needed : capacity;
    b->data = xrealloc(b->data, b->capacity);
    b->data[b->length] = '\0';
}

void buf_add(struct buf *b, const void *data, size_t length)
{
    buf_reserve(b, length);
    if (length)
        memcpy(b->data + b->length, data, length);
    b->length += length;
    b->data[b->length] = '\0';
}

void buf_add_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void buf_add_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    va_list again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    assert(length >= 0);
    buf_reserve(b, (size_t)length);
    vsnprintf(b->data + b->length, (size_t)length + 1, format, again);
    va_end(again);
    va_end(args);
    b->length += (size_t)length;
}

void buf_add_u16be(struct buf *b, uint16_t v)
{
    v = htobe16(v);
    buf_add(b, &v, sizeof v);
}

void buf_add_u32be(struct buf *b, uint32_t v)
{
    v = htobe32(v);
    buf_add(b, &v, sizeof v);
}

void buf_add_u64be(struct buf *b, uint64_t v)
{
    v = htobe64(v);
    buf_add(b, &v, sizeof v);
}

void buf_clear(struct buf *b)
{
    b->length = 0;
    if (b->data)
        b->data[0] = '\0';
}

void buf_done(struct buf *b)
{
    free(b->data);
    *b = (struct buf){0};
}

char *buf_take(struct buf *b)
{
    buf_reserve(b, 0);
    char *text = b->data;
    *b = (struct buf){0};
    return text;
}

void buf_join_lines(struct buf *b)
{
    while (b->length > 0 && b->data[b->length - 1] == '\n')
        b->data[--b->length] = '\0';
    for (size_t i = 0; i < b->length; i++)
        if (b->data[i] == '\n')
            b->data[i] = ';';
}

/* Text forms that other programs read: form encoding, JSON strings, base64. */

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
