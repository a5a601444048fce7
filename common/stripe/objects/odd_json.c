#include "common/stripe/objects/odd_json.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEPTH_MAX = 2000, /* jansson's JSON_PARSER_MAX_DEPTH is 2048 */
    NUMBER_MAX = 400, /* characters of a double without an exponent */
    ESCAPE_LENGTH = 6 /* \uXXXX */
};

static const char REPLACEMENT[] = "\\ufffd";

struct cursor {
    const char *at;
    const char *end;
};

/* The code unit of an escape \uXXXX at the cursor; -1: there is none. */
static long code_unit(const struct cursor *c, size_t offset)
{
    char digits[5] = "";
    if ((size_t)(c->end - c->at) < offset + ESCAPE_LENGTH || c->at[offset] != '\\' ||
        c->at[offset + 1] != 'u')
        return -1;
    memcpy(digits, c->at + offset + 2, 4);
    for (int i = 0; i < 4; i++)
        if (!isxdigit((unsigned char)digits[i]))
            return -1;
    return strtol(digits, NULL, 16);
}

static bool is_high(long unit)
{
    return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low(long unit)
{
    return unit >= 0xdc00 && unit <= 0xdfff;
}

static void take(struct cursor *c, struct buf *out, size_t n)
{
    size_t left = (size_t)(c->end - c->at);
    if (n > left)
        n = left;
    if (out)
        buf_add(out, c->at, n);
    c->at += n;
}

static void take_escape(struct cursor *c, struct buf *out)
{
    long unit = code_unit(c, 0);
    if (unit < 0) {
        take(c, out, 2);
    } else if (is_high(unit) && is_low(code_unit(c, ESCAPE_LENGTH))) {
        take(c, out, (size_t)2 * ESCAPE_LENGTH);
    } else if (unit == 0 || is_high(unit) || is_low(unit)) {
        if (out)
            buf_add_str(out, REPLACEMENT);
        c->at += ESCAPE_LENGTH;
    } else {
        take(c, out, ESCAPE_LENGTH);
    }
}

/* out NULL: skip it. */
static void take_string(struct cursor *c, struct buf *out)
{
    take(c, out, 1);
    while (c->at < c->end && *c->at != '"') {
        if (*c->at == '\\')
            take_escape(c, out);
        else
            take(c, out, 1);
    }
    take(c, out, 1);
}

static bool is_held(const char *text, size_t length)
{
    char number[NUMBER_MAX];
    if (length >= sizeof number)
        return false;
    memcpy(number, text, length);
    number[length] = '\0';
    errno = 0;
    if (strpbrk(number, ".eE"))
        return isfinite(strtod(number, NULL));
    (void)strtoll(number, NULL, 10);
    return errno != ERANGE;
}

static void take_number(struct cursor *c, struct buf *out)
{
    const char *begin = c->at;
    while (c->at < c->end && *c->at && strchr("+-.eE0123456789", *c->at))
        c->at++;
    size_t length = (size_t)(c->at - begin);
    if (is_held(begin, length))
        buf_add(out, begin, length);
    else
        buf_add_str(out, "null");
}

/* An array or object with all that is in it. */
static void skip_nested(struct cursor *c)
{
    size_t depth = 0;
    do {
        if (*c->at == '"') {
            take_string(c, NULL);
            continue;
        }
        if (*c->at == '[' || *c->at == '{')
            depth++;
        else if (*c->at == ']' || *c->at == '}')
            depth--;
        c->at++;
    } while (depth > 0 && c->at < c->end);
}

void odd_json_make_plain(const char *text, size_t length, struct buf *out)
{
    struct cursor c = {text, text + length};
    size_t depth = 0;
    while (c.at < c.end) {
        bool opens = *c.at == '[' || *c.at == '{';
        bool closes = *c.at == ']' || *c.at == '}';
        if (opens && depth == DEPTH_MAX) {
            skip_nested(&c);
            buf_add_str(out, "null");
        } else if (*c.at == '"') {
            take_string(&c, out);
        } else if (*c.at == '-' || isdigit((unsigned char)*c.at)) {
            take_number(&c, out);
        } else {
            depth += opens;
            depth -= closes && depth > 0;
            take(&c, out, 1);
        }
    }
}
