#include "ctl/terminal/cell.h"

#include <string.h>

/* The bytes of a character; of what is no UTF-8, one. */
static size_t char_size(const char *text)
{
    size_t size = str_utf8_char(text, strlen(text));
    return size > 0 ? size : 1;
}

/* U+0000 to U+001F, U+007F to U+009F, and single bytes that are no UTF-8. */
static bool is_printable(const char *at, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)at;

    if (size == 1)
        return bytes[0] >= 0x20 && bytes[0] < 0x7f;
    return size != 2 || bytes[0] != 0xc2 || bytes[1] >= 0xa0;
}

static void add_text(struct buf *out, const char *text)
{
    for (const char *at = text; *at;) {
        size_t size = char_size(at);
        if (is_printable(at, size))
            buf_add(out, at, size);
        else
            buf_add_char(out, '?');
        at += size;
    }
}

void cell_add_value(struct buf *out, const json_t *value)
{
    if (json_is_string(value) && *json_string_value(value))
        add_text(out, json_string_value(value));
    else if (json_is_boolean(value))
        buf_add_str(out, json_is_true(value) ? "true" : "false");
    else if (json_is_integer(value))
        buf_printf(out, "%lld", (long long)json_integer_value(value));
    else
        buf_add_char(out, '-');
}

int cell_width(const char *text)
{
    int width = 0;

    for (; *text; text += char_size(text))
        width++;
    return width;
}

static const char *skip(const char *text, int characters)
{
    for (; characters > 0 && *text; characters--)
        text += char_size(text);
    return text;
}

void cell_add_cut(struct buf *out, const char *text, int width, enum cell_cut cut)
{
    int all = cell_width(text);

    if (all <= width) {
        buf_add_str(out, text);
        return;
    }
    int behind = cut == CELL_MIDDLE ? (width - 1) / 2 : 0;
    const char *head_end = skip(text, width - 1 - behind);
    buf_add(out, text, (size_t)(head_end - text));
    buf_add_str(out, "…");
    buf_add_str(out, skip(text, all - behind));
}
