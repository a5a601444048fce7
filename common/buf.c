#include "common/str.h"

#include <assert.h>
#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 64

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
