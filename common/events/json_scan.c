#include "common/events/json_scan.h"

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

/* The next byte that is not a space, or NUL at the end. The caller has checked that the line has no
 * NUL. */
static char peek(struct json_scan *s)
{
    skip_space(s);
    if (s->at == s->end)
        return '\0';
    return *s->at;
}

static bool accept(struct json_scan *s, char c)
{
    if (peek(s) != c)
        return false;
    s->at++;
    return true;
}

int json_scan_open(struct json_scan *s, const char *line, size_t length, struct buf *text)
{
    *s = (struct json_scan){.at = line, .end = line + length, .text = text};
    buf_clear(text);
    /* A string is never longer than its escaped form. */
    buf_reserve(text, length + 1);
    return accept(s, '{') ? 0 : fail(s, "expected {");
}

static int hex_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Four hexadecimal digits; -1 if they are not. */
static int32_t parse_hex(struct json_scan *s)
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

/* After \u. Characters above U+FFFF come as two surrogates. */
static int parse_unicode(struct json_scan *s)
{
    int32_t c = parse_hex(s);
    if (c < 0)
        return fail(s, "\\u needs four hexadecimal digits");
    if (c >= 0xd800 && c < 0xdc00 && s->end - s->at >= 6 && s->at[0] == '\\' && s->at[1] == 'u') {
        s->at += 2;
        int32_t low = parse_hex(s);
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

/* After a backslash. */
static int parse_escape(struct json_scan *s)
{
    static const char FROM[] = "\"\\/bfnrt";
    static const char TO[] = "\"\\/\b\f\n\r\t";
    const char *found;
    if (s->at == s->end)
        return fail(s, "the string has no end");
    if (*s->at == 'u') {
        s->at++;
        return parse_unicode(s);
    }
    found = strchr(FROM, *s->at);
    if (!found)
        return fail(s, "unknown escape");
    s->at++;
    buf_add_char(s->text, TO[found - FROM]);
    return 0;
}

/* Skips plain characters, up to a quote, a backslash, a control character or the end. */
static struct slice skip_plain(struct json_scan *s)
{
    const char *start = s->at;
    while (s->at < s->end && *s->at != '"' && *s->at != '\\' && (unsigned char)*s->at >= 0x20)
        s->at++;
    return (struct slice){start, (size_t)(s->at - start)};
}

/* The rest of a string from its first escape on. */
static int parse_escaped(struct json_scan *s, struct slice run, struct slice *out)
{
    size_t offset = s->text->length;
    buf_add(s->text, run.data, run.length);
    while (s->at < s->end && *s->at == '\\') {
        s->at++;
        if (parse_escape(s))
            return -1;
        run = skip_plain(s);
        buf_add(s->text, run.data, run.length);
    }
    *out = (struct slice){s->text->data + offset, s->text->length - offset};
    return 0;
}

/* After the opening quote. A string without escapes is not copied. */
static int parse_string(struct json_scan *s, struct slice *out)
{
    *out = skip_plain(s);
    if (s->at < s->end && *s->at == '\\' && parse_escaped(s, *out, out))
        return -1;
    if (s->at == s->end)
        return fail(s, "the string has no end");
    if (*s->at != '"')
        return fail(s, "a control character in a string must be escaped");
    s->at++;
    return 0;
}

static bool skip_digits(struct json_scan *s)
{
    const char *start = s->at;
    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > start;
}

static bool accept_one_of(struct json_scan *s, const char *list)
{
    if (s->at == s->end || !strchr(list, *s->at))
        return false;
    s->at++;
    return true;
}

static int parse_number(struct json_scan *s, struct slice *out)
{
    const char *start = s->at;
    accept_one_of(s, "-");
    bool zero = s->at < s->end && *s->at == '0';
    const char *digits = s->at;
    if (!skip_digits(s) || (zero && s->at - digits > 1))
        return fail(s, "a number must have digits and no leading 0");
    if (accept_one_of(s, ".") && !skip_digits(s))
        return fail(s, "expected digits after the decimal point");
    if (accept_one_of(s, "eE")) {
        accept_one_of(s, "+-");
        if (!skip_digits(s))
            return fail(s, "expected digits in the exponent");
    }
    *out = (struct slice){start, (size_t)(s->at - start)};
    return 0;
}

static int parse_value(struct json_scan *s, enum json_kind *kind, struct slice *value)
{
    char c = peek(s);
    *value = (struct slice){s->at, 0};
    *kind = JSON_OTHER;
    if (accept(s, '"')) {
        *kind = JSON_TEXT;
        return parse_string(s, value);
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        *kind = JSON_NUMBER;
        return parse_number(s, value);
    }
    return c && strchr("{[tfn", c) ? 0 : fail(s, "expected a value");
}

/* Returns 0 at the end of everything. */
static int parse_end(struct json_scan *s)
{
    s->at++;
    return peek(s) == '\0' && s->at == s->end ? 0 : fail(s, "unexpected text after the object");
}

int json_scan_next(struct json_scan *s, struct slice *name, enum json_kind *kind,
                   struct slice *value)
{
    /* No value ends in a brace: reading stops at nested objects. */
    bool first = s->at[-1] == '{';
    if (peek(s) == '}' && s->at < s->end)
        return parse_end(s);
    if (!first && !accept(s, ','))
        return fail(s, "expected , or }");
    if (!accept(s, '"'))
        return fail(s, "expected a name in quotes");
    if (parse_string(s, name))
        return -1;
    if (!accept(s, ':'))
        return fail(s, "expected :");
    return parse_value(s, kind, value) ? -1 : 1;
}
