#include "common/json_exact.h"

#include "common/str.h"

#include <string.h>

enum { WHOLE_DIGITS = 18 };

static bool is_part_of_number(char c)
{
    return (c >= '0' && c <= '9') || (c != '\0' && strchr("+-.eE", c) != NULL);
}

static bool is_plain_whole(const char *text, size_t length)
{
    size_t digits = 0;
    for (size_t i = text[0] == '-'; i < length; i++, digits++)
        if (text[i] < '0' || text[i] > '9')
            return false;
    return digits <= WHOLE_DIGITS;
}

/* Copies one number, in quotes if it is not plain. Returns its length. */
static size_t copy_number(struct buf *out, const char *text, const char *end)
{
    size_t length = 0;
    while (text + length < end && is_part_of_number(text[length]))
        length++;
    const char *quote = is_plain_whole(text, length) ? "" : "\"";
    buf_add_str(out, quote);
    buf_add(out, text, length);
    buf_add_str(out, quote);
    return length;
}

/* Copies a string with its quotes. Returns its length. */
static size_t copy_string(struct buf *out, const char *text, const char *end)
{
    const char *at = text + 1;
    while (at < end && *at != '"')
        at += *at == '\\' ? 2 : 1;
    size_t length = at < end ? (size_t)(at - text) + 1 : (size_t)(end - text);
    buf_add(out, text, length);
    return length;
}

json_t *json_exact_load(const char *text, size_t length)
{
    struct buf quoted = {0};
    const char *end = text + length;
    while (text < end) {
        if (*text == '"')
            text += copy_string(&quoted, text, end);
        else if (*text == '-' || (*text >= '0' && *text <= '9'))
            text += copy_number(&quoted, text, end);
        else
            buf_add_char(&quoted, *text++);
    }
    json_t *value = json_loadb(quoted.data ? quoted.data : "", quoted.length, 0, NULL);
    buf_done(&quoted);
    return value;
}

int json_exact_dec(const json_t *value, struct dec *out)
{
    if (json_is_integer(value)) {
        *out = dec_from_i64(json_integer_value(value));
        return 0;
    }
    const char *text = json_string_value(value);
    return text ? dec_parse(text, strlen(text), out) : -1;
}
