#include "common/events/json_split.h"

#include "common/str.h"

#include <stdlib.h>

struct scan {
    const char *start;
    const char *at;
    const char *end;
};

static int fail(const struct scan *s, const char *what, struct err *e)
{
    return err_set(e, ERR_INPUT, "not JSON: %s (byte %zu)", what, (size_t)(s->at - s->start) + 1);
}

static void skip_space(struct scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\r' || *s->at == '\n'))
        s->at++;
}

static bool accept(struct scan *s, char c)
{
    skip_space(s);
    if (s->at == s->end || *s->at != c)
        return false;
    s->at++;
    return true;
}

/* After the opening quote. */
static bool skip_string(struct scan *s)
{
    while (s->at < s->end && *s->at != '"')
        s->at += *s->at == '\\' && s->end - s->at > 1 ? 2 : 1;
    if (s->at == s->end)
        return false;
    s->at++;
    return true;
}

/* At its opening brace. */
static int skip_object(struct scan *s, struct err *e)
{
    size_t depth = 0;
    do {
        if (s->at == s->end)
            return fail(s, "the object has no end", e);
        char c = *s->at++;
        if (c == '"' && !skip_string(s))
            return fail(s, "the string has no end", e);
        depth += (c == '{' || c == '[');
        depth -= (c == '}' || c == ']');
    } while (depth > 0);
    return 0;
}

static int add_object(struct json_split *parts, struct scan *s, struct err *e)
{
    skip_space(s);
    const char *start = s->at;
    if (s->at == s->end || *s->at != '{')
        return fail(s, "expected an object", e);
    if (skip_object(s, e))
        return -1;
    if (parts->count == parts->capacity) {
        parts->capacity = parts->capacity ? 2 * parts->capacity : 64;
        parts->list = xrealloc(parts->list, parts->capacity * sizeof *parts->list);
    }
    parts->list[parts->count++] = (struct slice){start, (size_t)(s->at - start)};
    return 0;
}

static int split(struct json_split *parts, struct scan *s, struct err *e)
{
    if (!accept(s, '['))
        return add_object(parts, s, e);
    if (accept(s, ']'))
        return 0;
    do {
        if (add_object(parts, s, e))
            return -1;
    } while (accept(s, ','));
    return accept(s, ']') ? 0 : fail(s, "expected , or ]", e);
}

int json_split(struct json_split *parts, struct slice text, struct err *e)
{
    struct scan s = {text.data, text.data, text.data + text.length};
    *parts = (struct json_split){0};
    int result = split(parts, &s, e);
    skip_space(&s);
    if (result == 0 && s.at < s.end)
        result = fail(&s, "unexpected text after the end", e);
    if (result)
        json_split_done(parts);
    return result;
}

void json_split_done(struct json_split *parts)
{
    free(parts->list);
    *parts = (struct json_split){0};
}
