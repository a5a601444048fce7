/* The shape, with RESP 2's types: https://redis.io/docs/latest/develop/reference/protocol-spec/
 *
 *     *1 stream     *2 name and entries   $ name    *n entries
 *     each entry:   *2 id and fields      $ id      *n fields, or nil   $ name $ value …
 *
 * A step takes one token and moves the state, or takes nothing and asks for more bytes. Nearly all
 * tokens are strings of fields, which have a loop of their own. There the field names are compared
 * with those of the entry before, whose bytes they share if they are equal. */
#include "aggregator/xread.h"

#include "common/str.h"

#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    BUFFER_BYTES = 64 << 10,
    SHORT_BYTES = 999,
    LARGE_BYTES = 16 << 10, /* a string that is read straight into the entries, if it is not here */
    SLACK_BYTES = 32,       /* copied at once, so that short strings need no loop */
    ROOM_BYTES = 4 << 10    /* asked of the arena at once */
};
#define EVERY_BYTE(b) (0x0101010101010101ULL * (b))
#define STRING_MAX                                                                                 \
    ((int64_t)1 << 30)               /* no entry is larger: t_stream.c, STREAM_LISTPACK_MAX_SIZE   \
                                      */
#define COUNT_MAX ((int64_t)1 << 30) /* of entries and of strings; memory is taken as they come */

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static inline bool is_line_end(const char *at)
{
    return at[0] == '\r' && at[1] == '\n';
}

enum step { STEP_BAD = -1, STEP_WAIT, STEP_ON, STEP_END };

void xread_target(struct xread *x, struct entries *target)
{
    x->next_target = target;
}

static void expect_reply(struct xread *x)
{
    x->state = XREAD_AT_REPLY;
    x->target = NULL;
    x->length = -1;
    x->body = NULL;
    x->passed = 0;
}

void xread_restart(struct xread *x)
{
    struct entries *e = x->target;

    if (e != NULL && e->clears == x->mark_clears) {
        e->count = x->mark_count;
        e->strings_count = x->mark_strings;
        e->bytes = x->mark_bytes;
    }
    expect_reply(x);
    x->at = 0;
    x->end = 0;
}

static void begin_reply(struct xread *x)
{
    const struct entries *e = x->next_target;

    expect_reply(x);
    x->target = x->next_target;
    if (e == NULL)
        return;
    x->mark_clears = e->clears;
    x->mark_count = e->count;
    x->mark_strings = e->strings_count;
    x->mark_bytes = e->bytes;
}

static bool is_cleared(const struct xread *x)
{
    return x->state != XREAD_AT_REPLY && x->target != NULL && x->target->clears != x->mark_clears;
}

char *xread_reserve(struct xread *x, size_t *size)
{
    if (x->body != NULL && x->body_left > 0 && !is_cleared(x)) {
        *size = x->body_left;
        return x->body;
    }
    if (x->buffer == NULL)
        x->buffer = xmalloc(BUFFER_BYTES + SLACK_BYTES);
    if (x->end > BUFFER_BYTES / 2 || x->at == x->end) {
        memmove(x->buffer, x->buffer + x->at, x->end - x->at);
        x->end -= x->at;
        x->at = 0;
    }
    *size = BUFFER_BYTES - x->end;
    return x->buffer + x->end;
}

static enum step bad(const struct xread *x, struct err *e, const char *what)
{
    err_set(e, ERR_INPUT, "a reply to XREAD is not of its shape: byte %" PRIu64 ": %s", x->passed,
            what);
    return STEP_BAD;
}

static void pass(struct xread *x, const char *to)
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

/* One line with a count, of the type and from least to most. */
static enum step take_count(struct xread *x, char type, int64_t least, int64_t most, int64_t *out,
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
        return bad(x, e, WANTED[x->state]);
    next = parse_count(at + 1, end, out);
    if (next == NULL && *out == 0)
        return STEP_WAIT;
    if (next == NULL || *out < least || *out > most)
        return bad(x, e, WANTED[x->state]);
    pass(x, next);
    return STEP_ON;
}

static enum step end_reply(struct xread *x)
{
    expect_reply(x);
    return STEP_END;
}

static enum step begin_line(struct xread *x)
{
    x->line[0] = x->buffer[x->at];
    x->line_length = 1;
    pass(x, x->buffer + x->at + 1);
    x->state = XREAD_AT_LINE;
    return STEP_ON;
}

/* An error, or a reply to some other command. */
static enum step take_line(struct xread *x, struct err *e)
{
    const char *at = x->buffer + x->at;
    size_t there = x->end - x->at;
    const char *line_end = memchr(at, '\n', there);
    size_t length = line_end != NULL ? (size_t)(line_end - at) : there;
    size_t room = sizeof(x->line) - x->line_length;
    size_t kept = length < room ? length : room;

    memcpy(x->line + x->line_length, at, kept);
    x->line_length += (uint32_t)kept;
    pass(x, at + length + (line_end != NULL));
    if (line_end == NULL)
        return STEP_WAIT;
    if (x->line[x->line_length - 1] == '\r')
        x->line_length--;
    if (x->line[0] == '-')
        err_set(e, ERR_REFUSED, "%.*s", (int)x->line_length - 1, x->line + 1);
    else
        err_set(e, ERR_INPUT, "a reply to XREAD is not of its shape: %.*s", (int)x->line_length,
                x->line);
    return end_reply(x);
}

static enum step take_reply(struct xread *x, struct err *e)
{
    enum step step;
    int64_t count;
    char type;

    if (x->at == x->end)
        return STEP_WAIT;
    if (x->passed == 0)
        begin_reply(x);
    type = x->buffer[x->at];
    if (type == '-' || type == '+' || type == ':')
        return begin_line(x);
    /* Nothing to tell is nil: of an array, or of a string in a transaction's reply. */
    step = take_count(x, type == '$' ? '$' : '*', -1, type == '$' ? -1 : 1, &count, e);
    if (step != STEP_ON)
        return step;
    if (count == -1)
        return end_reply(x);
    if (count == 0)
        return bad(x, e, "an array of no stream");
    if (x->target == NULL)
        return bad(x, e, "entries that nobody asked for");
    x->state = XREAD_AT_STREAM;
    return STEP_ON;
}

static enum step take_pair(struct xread *x, enum xread_state next, struct err *e)
{
    static const char PAIR[4] = "*2\r\n";
    const char *at = x->buffer + x->at;
    int64_t count;
    enum step step = STEP_ON;

    if (x->end - x->at >= sizeof(PAIR) && memcmp(at, PAIR, sizeof(PAIR)) == 0)
        pass(x, at + sizeof(PAIR)); /* nearly always */
    else
        step = take_count(x, '*', 2, 2, &count, e);
    if (step == STEP_ON)
        x->state = next;
    return step;
}

/* The length of a string, unless it was taken before. */
static enum step take_length(struct xread *x, int64_t most, struct err *e)
{
    int64_t length;
    enum step step;

    if (x->length >= 0)
        return STEP_ON;
    step = take_count(x, '$', 0, most, &length, e);
    if (step == STEP_ON)
        x->length = length;
    return step;
}

/* A short string that is here to its end, *text. */
static enum step take_short(struct xread *x, struct text *text, struct err *e)
{
    const char *at;
    enum step step = take_length(x, LARGE_BYTES, e);

    if (step != STEP_ON)
        return step;
    at = x->buffer + x->at;
    if (x->end - x->at < (size_t)x->length + 2)
        return STEP_WAIT;
    if (at[x->length] != '\r' || at[x->length + 1] != '\n')
        return bad(x, e, "a string is longer than it says");
    *text = (struct text){.data = at, .length = (uint32_t)x->length};
    pass(x, at + x->length + 2);
    x->length = -1;
    return STEP_ON;
}

static enum step take_name(struct xread *x, struct err *e)
{
    struct text name;
    enum step step = take_short(x, &name, e);

    if (step == STEP_ON)
        x->state = XREAD_AT_ENTRIES;
    return step;
}

static enum step expect_entry(struct xread *x)
{
    if (x->entries_left == 0)
        return end_reply(x);
    x->entries_left--;
    x->state = XREAD_AT_ENTRY;
    return STEP_ON;
}

static enum step take_entries(struct xread *x, struct err *e)
{
    int64_t count;
    enum step step = take_count(x, '*', 0, COUNT_MAX, &count, e);

    if (step != STEP_ON)
        return step;
    x->entries_left = (uint32_t)count;
    return expect_entry(x);
}

/* Eight digits at once: pairs of them, then pairs of pairs. Returns false if one is none. */
static inline bool parse_eight(const char *at, uint64_t *out)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    word = le64toh(word) - EVERY_BYTE('0'); /* the first digit in the lowest byte */
    if ((word | (word + EVERY_BYTE(0x7f - 9))) & EVERY_BYTE(0x80))
        return false;
    word = (word * 10 + (word >> 8)) & 0x00ff00ff00ff00ffULL;
    word = (word * 100 + (word >> 16)) & 0x0000ffff0000ffffULL;
    *out = (word * 10000 + (word >> 32)) & UINT32_MAX;
    return true;
}

/* One half of an id: decimal digits of 64 bits. Returns what follows them, or NULL. */
static const char *parse_half(const char *at, const char *end, uint64_t *out)
{
    const char *start = at;
    uint64_t value = 0;

    if (end - at >= 8 && parse_eight(at, &value))
        at += 8;
    for (; at < end && is_digit(*at); at++) {
        uint64_t digit = (uint64_t)(*at - '0');
        if (value >= UINT64_MAX / 10 && (value > UINT64_MAX / 10 || digit > UINT64_MAX % 10))
            return NULL;
        value = value * 10 + digit;
    }
    *out = value;
    return at == start ? NULL : at;
}

static enum step take_id(struct xread *x, struct err *e)
{
    struct text id;
    uint64_t ms = 0;
    uint64_t seq = 0;
    const char *at;
    enum step step = take_short(x, &id, e);

    if (step != STEP_ON)
        return step;
    at = parse_half(id.data, id.data + id.length, &ms);
    if (at != NULL && at < id.data + id.length && *at == '-')
        at = parse_half(at + 1, id.data + id.length, &seq);
    else
        at = NULL;
    if (at != id.data + id.length)
        return bad(x, e, "an id is not two numbers of 64 bits with a hyphen");
    entries_add(x->target, ms, seq);
    x->state = XREAD_AT_FIELDS;
    return STEP_ON;
}

static enum step take_fields(struct xread *x, struct err *e)
{
    int64_t count;
    bool is_string = x->at < x->end && x->buffer[x->at] == '$';
    enum step step =
        take_count(x, is_string ? '$' : '*', -1, is_string ? -1 : COUNT_MAX, &count, e);

    if (step != STEP_ON)
        return step;
    if (count > 0 && count % 2 != 0)
        return bad(x, e, "a name without a value");
    if (count <= 0)
        return expect_entry(x);
    x->strings_left = (uint32_t)count;
    x->state = XREAD_AT_STRING;
    return STEP_ON;
}

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
 * the next token starts, or NULL: take_string knows more. */
static inline const char *find_short(const char *at, const char *end, struct text *out)
{
    uint32_t length;

    if (end - at < (ptrdiff_t)strlen("$999\r\n\r\n") || at[0] != '$' || !is_digit(at[1]))
        return NULL;
    length = (uint32_t)(at[1] - '0');
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
    if (text.length <= SLACK_BYTES)
        memcpy(to, text.data, SLACK_BYTES);
    else
        memcpy(to, text.data, text.length);
    return to + text.length;
}

/* Names are short: two loads that may overlap are faster than a call. */
static inline bool is_same(const char *a, const char *b, uint32_t length)
{
    uint32_t words[4];

    if (length < sizeof(uint32_t) || length > 2 * sizeof(uint32_t))
        return memcmp(a, b, length) == 0;
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

/* The strings of this entry that are short and here to their end: as many as there are. */
static void take_short_strings(struct xread *x)
{
    struct entries *e = x->target;
    struct entry *entry = &e->list[e->count - 1];
    const char *at = x->buffer + x->at;
    const char *end = x->buffer + x->end;
    struct text *to = e->strings + e->strings_count;
    uint32_t room = e->strings_capacity - e->strings_count;
    uint32_t most = x->strings_left < room ? x->strings_left : room;
    const struct text *known = NULL;
    uint32_t known_count = find_known(e, &known);
    char *start = arena_reserve(&e->arena, ROOM_BYTES);
    char *copy = start;
    bool is_name = x->strings_left % 2 == 0; /* the first one is; then every other one */
    uint32_t bytes = 0;
    uint32_t i = 0;

    for (; i < most && copy - start < ROOM_BYTES - SHORT_BYTES - SLACK_BYTES; i++) {
        struct text text;
        const char *next = find_short(at, end, &text);
        if (next == NULL)
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
    pass(x, at);
}

/* The line end of a string, of which x->at is behind the last byte. */
static enum step take_string_end(struct xread *x, struct err *e)
{
    const char *at = x->buffer + x->at;

    if (x->end - x->at < 2)
        return STEP_WAIT;
    if (at[0] != '\r' || at[1] != '\n')
        return bad(x, e, "a string is longer than it says");
    pass(x, at + 2);
    return STEP_ON;
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
    pass(x, x->buffer + x->at + there);
    x->body += there;
    x->body_left = (size_t)x->length - there;
}

static enum step take_body(struct xread *x, struct err *e)
{
    enum step step;

    if (x->body_left > 0)
        return STEP_WAIT;
    step = take_string_end(x, e);
    if (step != STEP_ON)
        return step;
    keep_string(x, (struct text){.data = x->body - x->length, .length = (uint32_t)x->length});
    x->body = NULL;
    return STEP_ON;
}

/* Any string, slowly. */
static enum step take_string(struct xread *x, struct err *e)
{
    size_t there;
    struct text text;
    enum step step;

    if (x->body != NULL)
        return take_body(x, e);
    step = take_length(x, STRING_MAX, e);
    if (step != STEP_ON)
        return step;
    if (x->length > STRING_MAX - x->target->list[x->target->count - 1].bytes)
        return bad(x, e, "an entry above 1 GiB");
    there = x->end - x->at;
    if (there < (size_t)x->length + 2 && x->length > LARGE_BYTES)
        begin_body(x);
    if (there < (size_t)x->length + 2)
        return STEP_WAIT;
    text = arena_copy(&x->target->arena, x->buffer + x->at, (uint32_t)x->length);
    pass(x, x->buffer + x->at + x->length);
    step = take_string_end(x, e);
    if (step == STEP_ON)
        keep_string(x, text);
    return step;
}

static enum step take_strings(struct xread *x, struct err *e)
{
    enum step step = STEP_ON;

    if (x->length < 0)
        take_short_strings(x);
    if (x->strings_left > 0)
        step = take_string(x, e);
    if (x->strings_left == 0 && step == STEP_ON)
        return expect_entry(x);
    return step;
}

static enum step take_token(struct xread *x, struct err *e)
{
    switch (x->state) {
    case XREAD_AT_REPLY:
        return take_reply(x, e);
    case XREAD_AT_STREAM:
        return take_pair(x, XREAD_AT_NAME, e);
    case XREAD_AT_NAME:
        return take_name(x, e);
    case XREAD_AT_ENTRIES:
        return take_entries(x, e);
    case XREAD_AT_ENTRY:
        return take_pair(x, XREAD_AT_ID, e);
    case XREAD_AT_ID:
        return take_id(x, e);
    case XREAD_AT_FIELDS:
        return take_fields(x, e);
    case XREAD_AT_STRING:
        return take_strings(x, e);
    case XREAD_AT_LINE:
        return take_line(x, e);
    }
    assert(0 && "no such state");
}

int xread_take(struct xread *x, size_t n, struct err *e)
{
    enum step step = STEP_ON;

    *e = (struct err){0};
    if (x->body != NULL && x->body_left > 0) {
        x->body += n;
        x->body_left -= n;
        x->passed += n;
    } else {
        x->end += n;
    }
    if (is_cleared(x)) {
        err_set(e, ERR_INPUT, "a reply to XREAD lost its target");
        step = STEP_BAD;
    }
    while (step == STEP_ON)
        step = take_token(x, e);
    if (step == STEP_BAD)
        xread_restart(x);
    if (step == STEP_END)
        return 1;
    return step == STEP_BAD ? -1 : 0;
}

void xread_done(struct xread *x)
{
    free(x->buffer);
    *x = (struct xread){0};
}
