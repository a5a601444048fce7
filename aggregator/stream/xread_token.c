/* One token of an XREAD reply: a number, or a string that may come in pieces. */
#include "aggregator/stream/xread_internal.h"

#include <inttypes.h>

enum {
    LARGE_BYTES = 16 << 10, /* a longer string is read straight into the entries */
    SHORT_BYTES = 999,
    ROOM_BYTES = 4 << 10 /* asked of the arena at once */
};
/* No entry of Redis' is larger: t_stream.c, STREAM_LISTPACK_MAX_SIZE. */
#define STRING_BYTES_MAX ((int64_t)1 << 30)

enum step xread_bad(const struct xread *x, struct err *e, const char *what)
{
    err_set(e, ERR_INPUT, "malformed XREAD reply at byte %" PRIu64 ": %s", x->passed, what);
    return STEP_BAD;
}

void xread_pass(struct xread *x, const char *to)
{
    size_t taken = (size_t)(to - (x->buffer + x->at));
    x->at += taken;
    x->passed += taken;
}

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static inline bool is_line_end(const char *at)
{
    return at[0] == '\r' && at[1] == '\n';
}

/* The number of a line such as "$12\r\n": 10 digits at most, or -1 for nil. at: behind the type.
 * Returns where the next token starts, NULL if the line has not ended or is none (*out is -2). */
static inline const char *parse_count(const char *at, const char *end, int64_t *out)
{
    const char *start = at;
    bool is_nil = at < end && *at == '-';
    int64_t value = 0;
    if (end - at >= 3 && is_digit(at[0]) && is_line_end(at + 1)) { /* nearly always */
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

enum step xread_read_count(struct xread *x, char type, int64_t least, int64_t most, int64_t *out,
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
    if (at == end)
        return STEP_WAIT;
    if (*at != type)
        return xread_bad(x, e, WANTED[x->state]);
    const char *next = parse_count(at + 1, end, out);
    if (!next && *out == 0)
        return STEP_WAIT;
    if (!next || *out < least || *out > most)
        return xread_bad(x, e, WANTED[x->state]);
    xread_pass(x, next);
    return STEP_ON;
}

/* The length of a string, unless it was read before. */
static enum step read_length(struct xread *x, int64_t most, struct err *e)
{
    if (x->length >= 0)
        return STEP_ON;
    int64_t length;
    enum step step = xread_read_count(x, '$', 0, most, &length, e);
    if (step == STEP_ON)
        x->length = length;
    return step;
}

/* The line end of a string, of which x->at is behind the last byte. */
static enum step read_string_end(struct xread *x, struct err *e)
{
    const char *at = x->buffer + x->at;
    if (x->end - x->at < 2)
        return STEP_WAIT;
    if (!is_line_end(at))
        return xread_bad(x, e, "a string is longer than it says");
    xread_pass(x, at + 2);
    return STEP_ON;
}

enum step xread_read_short(struct xread *x, struct text *text, struct err *e)
{
    enum step step = read_length(x, LARGE_BYTES, e);
    if (step != STEP_ON)
        return step;
    const char *at = x->buffer + x->at;
    if (x->end - x->at < (size_t)x->length + 2)
        return STEP_WAIT;
    if (!is_line_end(at + x->length))
        return xread_bad(x, e, "a string is longer than it says");
    *text = (struct text){.data = at, .length = (uint32_t)x->length};
    xread_pass(x, at + x->length + 2);
    x->length = -1;
    return STEP_ON;
}

/* Names and values, nearly all of a reply. Those that are short and here to their end have a loop
 * of their own, where names are compared with those of the entry before: equal ones share its
 * bytes. What that loop cannot read, it leaves to read_string. */

static void keep_string(struct xread *x, struct text text)
{
    struct entries *e = x->target;
    struct entry *entry = &e->list[e->count - 1];
    if (e->strings_count == e->strings_capacity)
        entries_grow_strings(e);
    e->strings[e->strings_count++] = text;
    entry->fields++;
    entry->bytes += text.length;
    e->bytes += text.length;
    x->strings_left--;
    x->length = -1;
}

/* The string that starts at `at`, if it is of at most 999 bytes and here to its end. Returns where
 * the next token starts, or NULL: read_string knows more. */
static inline const char *find_short(const char *at, const char *end, struct text *out)
{
    if (end - at < (ptrdiff_t)strlen("$999\r\n\r\n") || at[0] != '$' || !is_digit(at[1]))
        return NULL;
    uint32_t length = (uint32_t)(at[1] - '0');
    at += 2;
    for (int more = 0; more < 2 && is_digit(*at); more++)
        length = length * 10 + (uint32_t)(*at++ - '0');
    if (!is_line_end(at) || end - at < (ptrdiff_t)length + 4 || !is_line_end(at + 2 + length))
        return NULL;
    *out = (struct text){.data = at + 2, .length = length};
    return at + 2 + length + 2;
}

static inline char *copy_short(char *to, struct text text)
{
    if (text.length <= XREAD_SLACK_BYTES)
        memcpy(to, text.data, XREAD_SLACK_BYTES);
    else
        memcpy(to, text.data, text.length);
    return to + text.length;
}

/* Names are short: two loads that may overlap are faster than a call. */
static inline bool is_same(const char *a, const char *b, uint32_t length)
{
    if (length < sizeof(uint32_t) || length > 2 * sizeof(uint32_t))
        return memcmp(a, b, length) == 0;
    uint32_t words[4];
    memcpy(&words[0], a, sizeof(uint32_t));
    memcpy(&words[1], b, sizeof(uint32_t));
    memcpy(&words[2], a + length - sizeof(uint32_t), sizeof(uint32_t));
    memcpy(&words[3], b + length - sizeof(uint32_t), sizeof(uint32_t));
    return words[0] == words[1] && words[2] == words[3];
}

/* How many strings of the entry before are where this entry's next ones may be the same. */
static uint32_t find_known(const struct entries *e, const struct text **known)
{
    const struct entry *entry = &e->list[e->count - 1];
    if (e->count < 2 || entry[-1].fields <= entry->fields)
        return 0;
    *known = e->strings + entry[-1].first_field + entry->fields;
    return entry[-1].fields - entry->fields;
}

/* How many strings may be appended without another look: none to an entry that is too large. */
static uint32_t count_missing(const struct xread *x, struct entries *e)
{
    if (e->strings_count == e->strings_capacity)
        entries_grow_strings(e);
    uint32_t room = e->strings_capacity - e->strings_count;
    if (e->list[e->count - 1].bytes > STRING_BYTES_MAX)
        return 0;
    return x->strings_left < room ? x->strings_left : room;
}

/* The strings of this entry that are short and here to their end: as many as there are. */
static void read_short_strings(struct xread *x)
{
    struct entries *e = x->target;
    struct entry *entry = &e->list[e->count - 1];
    const char *at = x->buffer + x->at;
    const char *end = x->buffer + x->end;
    uint32_t most = count_missing(x, e);
    struct text *to = e->strings + e->strings_count;
    const struct text *known = NULL;
    uint32_t known_count = find_known(e, &known);
    char *start = arena_reserve(&e->arena, ROOM_BYTES);
    char *copy = start;
    bool is_name = x->strings_left % 2 == 0; /* the first one is; then every other one */
    uint32_t bytes = 0;
    uint32_t i = 0;
    for (; i < most && copy - start < ROOM_BYTES - SHORT_BYTES - XREAD_SLACK_BYTES; i++) {
        struct text text;
        const char *next = find_short(at, end, &text);
        if (!next)
            break;
        at = next;
        bytes += text.length;
        if (i < known_count && is_name == (i % 2 == 0) && known[i].length == text.length &&
            is_same(known[i].data, text.data, text.length)) {
            to[i] = known[i];
            continue;
        }
        to[i] = (struct text){.data = copy, .length = text.length};
        copy = copy_short(copy, text);
    }
    arena_commit(&e->arena, (size_t)(copy - start));
    e->strings_count += i;
    e->bytes += bytes;
    entry->fields += i;
    entry->bytes += bytes;
    x->strings_left -= i;
    xread_pass(x, at);
}

/* A large string goes where it stays at once, with what has come of it. */
static void begin_body(struct xread *x)
{
    size_t there = x->end - x->at;
    if (there > (size_t)x->length)
        there = (size_t)x->length;
    x->body = arena_reserve(&x->target->arena, (size_t)x->length);
    arena_commit(&x->target->arena, (size_t)x->length);
    memcpy(x->body, x->buffer + x->at, there);
    xread_pass(x, x->buffer + x->at + there);
    x->body += there;
    x->body_left = (size_t)x->length - there;
}

static enum step read_body(struct xread *x, struct err *e)
{
    if (x->body_left > 0)
        return STEP_WAIT;
    enum step step = read_string_end(x, e);
    if (step != STEP_ON)
        return step;
    keep_string(x, (struct text){.data = x->body - x->length, .length = (uint32_t)x->length});
    x->body = NULL;
    return STEP_ON;
}

/* Any string, slowly. */
static enum step read_string(struct xread *x, struct err *e)
{
    if (x->body)
        return read_body(x, e);
    enum step step = read_length(x, STRING_BYTES_MAX, e);
    if (step != STEP_ON)
        return step;
    if (x->length > STRING_BYTES_MAX - x->target->list[x->target->count - 1].bytes)
        return xread_bad(x, e, "an entry above 1 GiB");
    size_t there = x->end - x->at;
    if (there < (size_t)x->length + 2 && x->length > LARGE_BYTES)
        begin_body(x);
    if (there < (size_t)x->length + 2)
        return STEP_WAIT;
    struct text text = arena_copy(&x->target->arena, x->buffer + x->at, (uint32_t)x->length);
    xread_pass(x, x->buffer + x->at + x->length);
    step = read_string_end(x, e);
    if (step == STEP_ON)
        keep_string(x, text);
    return step;
}

enum step xread_read_strings(struct xread *x, struct err *e)
{
    if (x->length < 0)
        read_short_strings(x);
    return x->strings_left > 0 ? read_string(x, e) : STEP_ON;
}
