#include "common/stripe/objects/event_json.h"

#include "common/str.h"
#include "common/stripe/objects/event_members.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEPTH_MAX = 40,
    INTEGER_MAX = 18, /* digits that an int64_t surely holds */
    REAL_MAX = 40,    /* characters of a number that a double surely holds, without an exponent */
};

struct cursor {
    const char *at;
    const char *end;
    bool unsure; /* jansson decides */
};

struct span {
    const char *text;
    size_t length;
    bool has_escapes;
};

/* Text. */

static bool give_up(struct cursor *c)
{
    c->unsure = true;
    return false;
}

/* The next character that is no space; NUL at the end. */
static char peek(struct cursor *c)
{
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\r' || *c->at == '\t'))
        c->at++;
    return c->at < c->end ? *c->at : '\0';
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* An escape that is not of NUL, nor a half of a surrogate pair, which jansson is asked about. */
static bool skip_escape(struct cursor *c)
{
    const char *at = c->at + 1;
    size_t left = (size_t)(c->end - at);
    if (left > 0 && *at && strchr("\"\\/bfnrt", *at)) {
        c->at += 2;
        return true;
    }
    if (left < 5 || *at != 'u')
        return give_up(c);
    for (int i = 1; i <= 4; i++)
        if (!is_hex(at[i]))
            return give_up(c);
    if (memcmp(at + 1, "0000", 4) == 0 || at[1] == 'd' || at[1] == 'D')
        return give_up(c);
    c->at += 6;
    return true;
}

/* At its quote. */
static bool take_string(struct cursor *c, struct span *out)
{
    const char *begin = ++c->at;
    out->has_escapes = false;
    for (;;) {
        while (c->at < c->end && *c->at != '"' && *c->at != '\\' && *c->at >= 0x20)
            c->at++;
        if (c->at == c->end)
            return give_up(c);
        if (*c->at == '"')
            break;
        if (*c->at == '\\') {
            out->has_escapes = true;
            if (!skip_escape(c))
                return false;
        } else {
            size_t bytes = str_utf8_char(c->at, (size_t)(c->end - c->at));
            if (bytes < 2)
                return give_up(c);
            c->at += bytes;
        }
    }
    out->text = begin;
    out->length = (size_t)(c->at++ - begin);
    return true;
}

static size_t skip_digits(struct cursor *c)
{
    const char *begin = c->at;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9')
        c->at++;
    return (size_t)(c->at - begin);
}

static bool take_number(struct cursor *c, struct span *out, bool *is_real)
{
    out->text = c->at;
    c->at += *c->at == '-';
    bool begins_with_0 = c->at < c->end && *c->at == '0';
    size_t digits = skip_digits(c);
    if (digits == 0 || digits > INTEGER_MAX || (begins_with_0 && digits > 1))
        return give_up(c);
    *is_real = c->at < c->end && *c->at == '.';
    if (*is_real) {
        c->at++;
        if (skip_digits(c) == 0)
            return give_up(c);
    }
    out->length = (size_t)(c->at - out->text);
    bool ends = c->at < c->end && *c->at != 'e' && *c->at != 'E' && out->length <= REAL_MAX;
    return ends ? true : give_up(c);
}

static bool accept_word(struct cursor *c, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0)
        return give_up(c);
    c->at += length;
    return true;
}

/* Values. Each begins at the first character of its value. */

static bool skip_value(struct cursor *c, int depth);

/* After what is in an array or object: false at its end, or if it is no JSON. */
static bool has_next(struct cursor *c, char close)
{
    char next = peek(c);
    if (next != ',' && next != close)
        return give_up(c);
    c->at++;
    return next == ',';
}

/* At its bracket. False: it is empty. */
static bool open_nested(struct cursor *c, char close, int depth)
{
    c->at++;
    if (depth == DEPTH_MAX)
        return give_up(c);
    if (peek(c) != close)
        return true;
    c->at++;
    return false;
}

static bool take_name(struct cursor *c, struct span *name)
{
    if (peek(c) != '"' || !take_string(c, name))
        return give_up(c);
    if (name->has_escapes || peek(c) != ':')
        return give_up(c);
    c->at++;
    return true;
}

static void skip_nested(struct cursor *c, char close, int depth)
{
    struct span name;
    if (!open_nested(c, close, depth))
        return;
    do {
        if (close == '}' && !take_name(c, &name))
            return;
        if (!skip_value(c, depth + 1))
            return;
    } while (has_next(c, close));
}

static bool skip_value(struct cursor *c, int depth)
{
    struct span ignored;
    bool is_real;
    switch (peek(c)) {
    case '"':
        return take_string(c, &ignored);
    case '{':
        skip_nested(c, '}', depth);
        return !c->unsure;
    case '[':
        skip_nested(c, ']', depth);
        return !c->unsure;
    case 't':
        return accept_word(c, "true");
    case 'f':
        return accept_word(c, "false");
    case 'n':
        return accept_word(c, "null");
    case '\0':
        return give_up(c);
    default:
        return take_number(c, &ignored, &is_real);
    }
}

static json_t *take_value(struct cursor *c, int depth);

static json_t *load(struct cursor *c, const char *text, size_t length)
{
    json_t *value = json_loadb(text, length, JSON_DECODE_ANY, NULL);
    if (!value)
        give_up(c);
    return value;
}

static json_t *make_string(struct cursor *c)
{
    struct span s;
    if (!take_string(c, &s))
        return NULL;
    return s.has_escapes ? load(c, s.text - 1, s.length + 2)
                         : json_stringn_nocheck(s.text, s.length);
}

static json_t *make_number(struct cursor *c)
{
    struct span s;
    bool is_real;
    char text[REAL_MAX + 1];
    if (!take_number(c, &s, &is_real))
        return NULL;
    if (is_real)
        return load(c, s.text, s.length);
    memcpy(text, s.text, s.length);
    text[s.length] = '\0';
    return json_integer(strtoll(text, NULL, 10));
}

static json_t *make_whole(struct cursor *c, int depth)
{
    peek(c);
    const char *begin = c->at;
    return skip_value(c, depth) ? load(c, begin, (size_t)(c->at - begin)) : NULL;
}

static json_t *make_array(struct cursor *c, int depth)
{
    json_t *array = json_array();
    if (!open_nested(c, ']', depth))
        return array;
    do {
        json_t *value = take_value(c, depth + 1);
        if (value)
            json_array_append_new(array, value);
    } while (!c->unsure && has_next(c, ']'));
    return array;
}

static void add_member(struct cursor *c, int depth, json_t *object)
{
    struct span name;
    if (!take_name(c, &name))
        return;
    const char *known = event_member(name.text, name.length);
    if (!known) {
        skip_value(c, depth + 1);
        return;
    }
    json_t *value =
        event_member_is_whole(known) ? make_whole(c, depth + 1) : take_value(c, depth + 1);
    if (value)
        json_object_set_new_nocheck(object, known, value);
}

static json_t *make_object(struct cursor *c, int depth)
{
    json_t *object = json_object();
    if (!open_nested(c, '}', depth))
        return object;
    do {
        add_member(c, depth, object);
    } while (!c->unsure && has_next(c, '}'));
    return object;
}

/* NULL only if it is unsure; what is returned then all the same is not whole. */
static json_t *take_value(struct cursor *c, int depth)
{
    switch (peek(c)) {
    case '"':
        return make_string(c);
    case '{':
        return make_object(c, depth);
    case '[':
        return make_array(c, depth);
    case 't':
        return accept_word(c, "true") ? json_true() : NULL;
    case 'f':
        return accept_word(c, "false") ? json_false() : NULL;
    case 'n':
        return accept_word(c, "null") ? json_null() : NULL;
    case '\0':
        give_up(c);
        return NULL;
    default:
        return make_number(c);
    }
}

json_t *event_json_load(const char *text, size_t length)
{
    struct cursor c = {.at = text, .end = text + length};
    if (peek(&c) != '{')
        return NULL;
    json_t *root = make_object(&c, 0);
    peek(&c);
    if (!c.unsure && c.at == c.end)
        return root;
    json_decref(root);
    return NULL;
}
