/* A thin reader of one JSON object without nesting. */
#include "emitter/json_scan.h"

#include <stdint.h>

static int fail(struct json_scan *s, const char *fault)
{
    s->fault = fault;
    return -1;
}

static void skip_space(struct json_scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\r' || *s->at == '\n'))
        s->at++;
}

/* The next byte that is no space, or NUL at the end: lines have no NUL, that was checked. */
static char peek(struct json_scan *s)
{
    skip_space(s);
    if (s->at == s->end)
        return '\0';
    return *s->at;
}

static bool take(struct json_scan *s, char c)
{
    if (peek(s) != c)
        return false;
    s->at++;
    return true;
}

int json_open(struct json_scan *s, const char *line, size_t length, struct buf *text)
{
    *s = (struct json_scan){.at = line, .end = line + length, .text = text};
    buf_clear(text);
    /* What is written out is never longer than its escapes. */
    buf_reserve(text, length + 1);
    return take(s, '{') ? 0 : fail(s, "an object must begin here");
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four hexadecimal digits. Returns -1 if they are not. */
static int32_t take_hex(struct json_scan *s)
{
    int32_t value = 0;

    if (s->end - s->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_of(*s->at++);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static void add_utf8(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_add_char(out, (char)c);
    } else if (c < 0x800) {
        buf_add_char(out, (char)(0xc0 | c >> 6));
        buf_add_char(out, (char)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        buf_add_char(out, (char)(0xe0 | c >> 12));
        buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_add_char(out, (char)(0x80 | (c & 0x3f)));
    } else {
        buf_add_char(out, (char)(0xf0 | c >> 18));
        buf_add_char(out, (char)(0x80 | (c >> 12 & 0x3f)));
        buf_add_char(out, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_add_char(out, (char)(0x80 | (c & 0x3f)));
    }
}

/* Behind \u. Characters past U+FFFF come as two surrogates. */
static int take_unicode(struct json_scan *s)
{
    int32_t c = take_hex(s);

    if (c < 0)
        return fail(s, "\\u needs four hexadecimal digits");
    if (c >= 0xd800 && c < 0xdc00 && s->end - s->at >= 6 && s->at[0] == '\\' && s->at[1] == 'u') {
        s->at += 2;
        int32_t low = take_hex(s);
        c = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00)
                                          : 0xd800;
    }
    if (c >= 0xd800 && c < 0xe000)
        return fail(s, "half of a surrogate pair");
    if (c == 0)
        return fail(s, "NUL is not allowed");
    add_utf8(s->text, (uint32_t)c);
    return 0;
}

/* Behind a backslash. */
static int take_escape(struct json_scan *s)
{
    static const char FROM[] = "\"\\/bfnrt";
    static const char TO[] = "\"\\/\b\f\n\r\t";
    const char *found;

    if (s->at == s->end)
        return fail(s, "a string has no end");
    if (*s->at == 'u') {
        s->at++;
        return take_unicode(s);
    }
    found = strchr(FROM, *s->at);
    if (!found)
        return fail(s, "no such escape");
    s->at++;
    buf_add_char(s->text, TO[found - FROM]);
    return 0;
}

/* Moves on to what ends a run of plain characters: quote, backslash, control character, or the end.
 */
static struct slice take_run(struct json_scan *s)
{
    const char *start = s->at;

    while (s->at < s->end && *s->at != '"' && *s->at != '\\' && (unsigned char)*s->at >= 0x20)
        s->at++;
    return (struct slice){start, (size_t)(s->at - start)};
}

/* The rest of a string from its first escape on. */
static int take_escaped(struct json_scan *s, struct slice run, struct slice *out)
{
    size_t offset = s->text->length;

    buf_add(s->text, run.data, run.length);
    while (s->at < s->end && *s->at == '\\') {
        s->at++;
        if (take_escape(s))
            return -1;
        run = take_run(s);
        buf_add(s->text, run.data, run.length);
    }
    *out = (struct slice){s->text->data + offset, s->text->length - offset};
    return 0;
}

/* Behind the opening quote. Without escapes the string is taken where it stands. */
static int take_string(struct json_scan *s, struct slice *out)
{
    *out = take_run(s);
    if (s->at < s->end && *s->at == '\\' && take_escaped(s, *out, out))
        return -1;
    if (s->at == s->end)
        return fail(s, "a string has no end");
    if (*s->at != '"')
        return fail(s, "a control character in a string must be escaped");
    s->at++;
    return 0;
}

static bool take_digits(struct json_scan *s)
{
    const char *start = s->at;

    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > start;
}

static bool take_one_of(struct json_scan *s, const char *list)
{
    if (s->at == s->end || !strchr(list, *s->at))
        return false;
    s->at++;
    return true;
}

static int take_number(struct json_scan *s, struct slice *out)
{
    const char *start = s->at;

    take_one_of(s, "-");
    bool zero = s->at < s->end && *s->at == '0';
    const char *digits = s->at;
    if (!take_digits(s) || (zero && s->at - digits > 1))
        return fail(s, "a number has no digits, or begins with 0");
    if (take_one_of(s, ".") && !take_digits(s))
        return fail(s, "a point without digits behind it");
    if (take_one_of(s, "eE")) {
        take_one_of(s, "+-");
        if (!take_digits(s))
            return fail(s, "an exponent without digits");
    }
    *out = (struct slice){start, (size_t)(s->at - start)};
    return 0;
}

static int take_value(struct json_scan *s, enum json_kind *kind, struct slice *value)
{
    char c = peek(s);

    *value = (struct slice){s->at, 0};
    *kind = JSON_OTHER;
    if (take(s, '"')) {
        *kind = JSON_TEXT;
        return take_string(s, value);
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        *kind = JSON_NUMBER;
        return take_number(s, value);
    }
    return c && strchr("{[tfn", c) ? 0 : fail(s, "a value must stand here");
}

/* Returns 0 at the end of everything. */
static int take_end(struct json_scan *s)
{
    s->at++;
    return peek(s) == '\0' && s->at == s->end ? 0 : fail(s, "something follows the object");
}

int json_next(struct json_scan *s, struct slice *name, enum json_kind *kind, struct slice *value)
{
    /* A value that ends in a brace is never gone past. */
    bool first = s->at[-1] == '{';

    if (peek(s) == '}' && s->at < s->end)
        return take_end(s);
    if (!first && !take(s, ','))
        return fail(s, "a comma or } must stand here");
    if (!take(s, '"'))
        return fail(s, "a name in quotes must stand here");
    if (take_string(s, name))
        return -1;
    if (!take(s, ':'))
        return fail(s, "a colon must stand here");
    return take_value(s, kind, value) ? -1 : 1;
}
