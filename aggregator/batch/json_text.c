#include "aggregator/batch/json_text.h"

#include "common/str.h"

#define EVERY_BYTE(b) (0x0101010101010101ULL * (b))
#define ESCAPED_MAX   6U /* \u001f */

/* Not zero if one of the eight bytes is not plain: taking 1 from a byte that is 0, or 0x20 from one
 * below it, sets its highest bit, which no plain byte has either. */
static uint64_t odd_bytes(uint64_t word)
{
    uint64_t is_control = word - EVERY_BYTE(0x20);
    uint64_t is_quote = (word ^ EVERY_BYTE('"')) - EVERY_BYTE(1);
    uint64_t is_backslash = (word ^ EVERY_BYTE('\\')) - EVERY_BYTE(1);
    uint64_t is_delete = (word ^ EVERY_BYTE(0x7f)) - EVERY_BYTE(1);
    return (word | is_control | is_quote | is_backslash | is_delete) & EVERY_BYTE(0x80);
}

static uint64_t load(const char *at, size_t size)
{
    uint64_t word = 0;
    memcpy(&word, at, size);
    return word;
}

/* At most seven bytes: the first and the last four, which may overlap, or each of fewer. */
static uint64_t odd_short(struct text t)
{
    uint64_t word = EVERY_BYTE(' ');
    if (t.length >= 4)
        return odd_bytes(load(t.data, 4) << 32 | load(t.data + t.length - 4, 4));
    for (uint32_t i = 0; i < t.length; i++)
        word = word << 8 | (unsigned char)t.data[i];
    return odd_bytes(word);
}

bool text_is_plain(struct text t)
{
    if (t.length < 8)
        return odd_short(t) == 0;
    uint64_t odd = odd_bytes(load(t.data + t.length - 8, 8));
    for (uint32_t i = 0; i + 8 < t.length; i += 8)
        odd |= odd_bytes(load(t.data + i, 8));
    return odd == 0;
}

/* The letter of a short escape, 'u' for the long form, 0 for none. */
static char escape_of(char c)
{
    switch (c) {
    case '"':
    case '\\':
        return c;
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return (unsigned char)c < 0x20 ? 'u' : 0;
    }
}

static size_t escaped_size(char c)
{
    char escape = escape_of(c);
    if (escape == 0)
        return 1;
    return escape == 'u' ? ESCAPED_MAX : 2;
}

size_t json_text_size(struct text t)
{
    size_t size = 0;
    for (uint32_t i = 0; i < t.length; i++)
        size += escaped_size(t.data[i]);
    return size;
}

char *json_text_write(char *at, struct text t)
{
    static const char HEX[] = "0123456789abcdef";
    for (uint32_t i = 0; i < t.length; i++) {
        char c = t.data[i];
        char escape = escape_of(c);
        if (escape == 0) {
            *at++ = c;
            continue;
        }
        *at++ = '\\';
        *at++ = escape;
        if (escape != 'u')
            continue;
        *at++ = '0';
        *at++ = '0';
        *at++ = HEX[c >> 4 & 0xf];
        *at++ = HEX[c & 0xf];
    }
    return at;
}

uint32_t json_text_fit(struct text t, size_t room)
{
    uint32_t fit = 0;
    while (fit < t.length && escaped_size(t.data[fit]) <= room)
        room -= escaped_size(t.data[fit++]);
    /* Not inside a character: back to its first byte. */
    while (fit < t.length && fit > 0 && (t.data[fit] & 0xc0) == 0x80)
        fit--;
    return fit;
}

static char *write_plain(char *at, struct text t)
{
    if (t.length > 0)
        memcpy(at, t.data, t.length);
    return at + t.length;
}

static char *write_member(char *at, const struct dimension *d, bool plain)
{
    *at++ = '"';
    at = write_plain(at, d->name);
    at = write_plain(at, TEXT("\":\""));
    at = plain ? write_plain(at, d->value) : json_text_write(at, d->value);
    *at++ = '"';
    *at++ = ',';
    return at;
}

struct text json_text_object(struct arena *arena, const struct dimension *dimensions, int count,
                             bool plain)
{
    size_t room = 2;
    if (count == 0)
        return TEXT("{}");
    for (int i = 0; i < count; i++) {
        size_t value = dimensions[i].value.length;
        room += dimensions[i].name.length + (plain ? value : value * ESCAPED_MAX) +
                strlen("\"\":\"\",");
    }
    char *start = arena_reserve(arena, room);
    char *at = start;
    *at++ = '{';
    for (int i = 0; i < count; i++)
        at = write_member(at, &dimensions[i], plain);
    at[-1] = '}'; /* over the last comma */
    arena_commit(arena, (size_t)(at - start));
    return (struct text){.data = start, .length = (uint32_t)(at - start)};
}
