#include "aggregator/stream/xread_internal.h"

#include <inttypes.h>

enum step xread_bad(const struct xread *x, struct err *e, const char *what)
{
    err_set(e, ERR_INPUT, "a reply to XREAD is not of its shape: byte %" PRIu64 ": %s", x->passed,
            what);
    return STEP_BAD;
}

void xread_pass(struct xread *x, const char *to)
{
    size_t taken = (size_t)(to - (x->buffer + x->at));

    x->at += taken;
    x->passed += taken;
}

/* The number of a line such as "$12\r\n": 10 digits at most, or -1 for nil. at: behind the type.
 * Returns where the next token starts, NULL if the line has not ended or is none (*out is -2). */
static inline const char *parse_count(const char *at, const char *end, int64_t *out)
{
    const char *start = at;
    bool is_nil = at < end && *at == '-';
    int64_t value = 0;

    if (end - at >= 3 && xread_is_digit(at[0]) && xread_is_line_end(at + 1)) { /* nearly always */
        *out = at[0] - '0';
        return at + 3;
    }
    at += is_nil;
    for (; at < end && at < start + 10 && *at >= '0' && *at <= '9'; at++)
        value = value * 10 + (*at - '0');
    *out = 0;
    if (end - at >= 2 && at > start + is_nil && at[0] == '\r' && at[1] == '\n' &&
        (!is_nil || value == 1)) {
        *out = is_nil ? -1 : value;
        return at + 2;
    }
    if (at < end && (at == start + is_nil || *at != '\r' || end - at >= 2))
        *out = -2;
    return NULL;
}

enum step xread_take_count(struct xread *x, char type, int64_t least, int64_t most, int64_t *out,
                           struct err *e)
{
    static const char *const WANTED[] = {
        [XREAD_AT_REPLY] = "wanted an array of one stream",
        [XREAD_AT_STREAM] = "wanted an array of the stream's name and its entries",
        [XREAD_AT_NAME] = "wanted the stream's name",
        [XREAD_AT_ENTRIES] = "wanted an array of entries",
        [XREAD_AT_ENTRY] = "wanted an array of an id and its fields",
        [XREAD_AT_ID] = "wanted an id",
        [XREAD_AT_FIELDS] = "wanted an array of names and values",
        [XREAD_AT_STRING] = "wanted a name or a value",
    };
    const char *at = x->buffer + x->at;
    const char *end = x->buffer + x->end;
    const char *next;

    if (at == end)
        return STEP_WAIT;
    if (*at != type)
        return xread_bad(x, e, WANTED[x->state]);
    next = parse_count(at + 1, end, out);
    if (next == NULL && *out == 0)
        return STEP_WAIT;
    if (next == NULL || *out < least || *out > most)
        return xread_bad(x, e, WANTED[x->state]);
    xread_pass(x, next);
    return STEP_ON;
}

enum step xread_take_length(struct xread *x, int64_t most, struct err *e)
{
    int64_t length;
    enum step step;

    if (x->length >= 0)
        return STEP_ON;
    step = xread_take_count(x, '$', 0, most, &length, e);
    if (step == STEP_ON)
        x->length = length;
    return step;
}

enum step xread_take_short(struct xread *x, struct text *text, struct err *e)
{
    const char *at;
    enum step step = xread_take_length(x, XREAD_LARGE_BYTES, e);

    if (step != STEP_ON)
        return step;
    at = x->buffer + x->at;
    if (x->end - x->at < (size_t)x->length + 2)
        return STEP_WAIT;
    if (at[x->length] != '\r' || at[x->length + 1] != '\n')
        return xread_bad(x, e, "a string is longer than it says");
    *text = (struct text){.data = at, .length = (uint32_t)x->length};
    xread_pass(x, at + x->length + 2);
    x->length = -1;
    return STEP_ON;
}

enum step xread_take_string_end(struct xread *x, struct err *e)
{
    const char *at = x->buffer + x->at;

    if (x->end - x->at < 2)
        return STEP_WAIT;
    if (at[0] != '\r' || at[1] != '\n')
        return xread_bad(x, e, "a string is longer than it says");
    xread_pass(x, at + 2);
    return STEP_ON;
}
