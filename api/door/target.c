#include "api/door/target.h"

#include "common/str.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* is_query: + is a space there. Returns NULL with *why. */
static char *decode(const char *text, size_t length, bool is_query, const char **why)
{
    char *out = xmalloc(length + 1);
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '%') {
            out[n++] = is_query && text[i] == '+' ? ' ' : text[i];
            continue;
        }
        bool is_short = length - i < 3;
        int high = is_short ? -1 : hex_digit(text[i + 1]);
        int low = is_short ? -1 : hex_digit(text[i + 2]);
        if (high < 0 || low < 0) {
            *why = "a % without two hexadecimal digits behind it";
            free(out);
            return NULL;
        }
        out[n++] = (char)(high * 16 + low);
        i += 2;
    }
    out[n] = '\0';
    if (!str_is_utf8(out, n) || str_has_control(out, n)) {
        *why = "not UTF-8, or a control character";
        free(out);
        return NULL;
    }
    return out;
}

static int parse_path(const char *text, size_t length, struct target *t, const char **why)
{
    const char *end = text + length;
    if (length == 0 || *text != '/') {
        *why = "the path must begin with /";
        return -1;
    }
    while (text < end) {
        const char *from = text + 1;
        const char *slash = memchr(from, '/', (size_t)(end - from));
        const char *to = slash ? slash : end;
        if (t->segments_n == TARGET_SEGMENTS_MAX) {
            *why = "a path of too many parts";
            return -1;
        }
        char *segment = decode(from, (size_t)(to - from), false, why);
        if (!segment)
            return -1;
        t->segments[t->segments_n++] = segment;
        text = to;
    }
    return 0;
}

static int parse_pair(const char *text, size_t length, struct target *t, const char **why)
{
    const char *equals = memchr(text, '=', length);
    size_t name_length = equals ? (size_t)(equals - text) : length;
    if (t->query_n == TARGET_QUERY_MAX) {
        *why = "a query of too many parts";
        return -1;
    }
    struct target_pair *pair = &t->query[t->query_n];
    pair->name = decode(text, name_length, true, why);
    if (!pair->name)
        return -1;
    t->query_n++;
    pair->value = equals ? decode(equals + 1, length - name_length - 1, true, why) : xstrdup("");
    return pair->value ? 0 : -1;
}

int target_parse(const char *text, struct target *t, const char **why)
{
    *t = (struct target){.segments_n = 0};
    size_t length = strcspn(text, "?");
    if (parse_path(text, length, t, why))
        return -1;
    text += length;
    while (*text) {
        text++;
        length = strcspn(text, "&");
        if (length > 0 && parse_pair(text, length, t, why))
            return -1;
        text += length;
    }
    return 0;
}

void target_done(struct target *t)
{
    for (int i = 0; i < t->segments_n; i++)
        free(t->segments[i]);
    for (int i = 0; i < t->query_n; i++) {
        free(t->query[i].name);
        free(t->query[i].value);
    }
    *t = (struct target){.segments_n = 0};
}
