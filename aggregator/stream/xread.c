/* The shape, with RESP 2's types: https://redis.io/docs/latest/develop/reference/protocol-spec/
 *
 *     *1 stream     *2 name and entries   $ name    *n entries
 *     each entry:   *2 id and fields      $ id      *n fields, or nil   $ name $ value …
 *
 * A step reads one token and moves the state, or reads nothing and asks for more bytes. */
#include "aggregator/stream/entry_id.h"
#include "aggregator/stream/xread_internal.h"
#include "common/str.h"

#include <assert.h>
#include <stdlib.h>

/* Of entries and of strings; memory is taken as they come. */
#define COUNT_MAX ((int64_t)1 << 30)

enum { BUFFER_BYTES = 64 << 10 };

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
    if (e && e->clears == x->mark_clears) {
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
    if (!e)
        return;
    x->mark_clears = e->clears;
    x->mark_count = e->count;
    x->mark_strings = e->strings_count;
    x->mark_bytes = e->bytes;
}

static bool is_cleared(const struct xread *x)
{
    return x->state != XREAD_AT_REPLY && x->target && x->target->clears != x->mark_clears;
}

char *xread_reserve(struct xread *x, size_t *size)
{
    if (x->body && x->body_left > 0 && !is_cleared(x)) {
        *size = x->body_left;
        return x->body;
    }
    if (!x->buffer)
        x->buffer = xmalloc(BUFFER_BYTES + XREAD_SLACK_BYTES);
    if (x->end > BUFFER_BYTES / 2 || x->at == x->end) {
        memmove(x->buffer, x->buffer + x->at, x->end - x->at);
        x->end -= x->at;
        x->at = 0;
    }
    *size = BUFFER_BYTES - x->end;
    return x->buffer + x->end;
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
    xread_pass(x, x->buffer + x->at + 1);
    x->state = XREAD_AT_LINE;
    return STEP_ON;
}

/* An error, or a reply to some other command. */
static enum step read_line(struct xread *x, struct err *e)
{
    const char *at = x->buffer + x->at;
    size_t there = x->end - x->at;
    const char *line_end = memchr(at, '\n', there);
    size_t length = line_end ? (size_t)(line_end - at) : there;
    size_t room = sizeof(x->line) - x->line_length;
    size_t kept = length < room ? length : room;
    memcpy(x->line + x->line_length, at, kept);
    x->line_length += (uint32_t)kept;
    xread_pass(x, at + length + (line_end != NULL));
    if (!line_end)
        return STEP_WAIT;
    if (x->line[x->line_length - 1] == '\r')
        x->line_length--;
    if (x->line[0] == '-')
        err_set(e, ERR_REFUSED, "%.*s", (int)x->line_length - 1, x->line + 1);
    else
        err_set(e, ERR_INPUT, "malformed XREAD reply: %.*s", (int)x->line_length, x->line);
    return end_reply(x);
}

static enum step read_reply(struct xread *x, struct err *e)
{
    if (x->at == x->end)
        return STEP_WAIT;
    if (x->passed == 0)
        begin_reply(x);
    char type = x->buffer[x->at];
    if (type == '-' || type == '+' || type == ':')
        return begin_line(x);
    int64_t count;
    /* Nothing to tell is nil: of an array, or of a string in a transaction's reply. */
    enum step step =
        xread_read_count(x, type == '$' ? '$' : '*', -1, type == '$' ? -1 : 1, &count, e);
    if (step != STEP_ON)
        return step;
    if (count == -1)
        return end_reply(x);
    if (count == 0)
        return xread_bad(x, e, "an array of no stream");
    if (!x->target)
        return xread_bad(x, e, "entries that nobody asked for");
    x->state = XREAD_AT_STREAM;
    return STEP_ON;
}

static enum step read_pair(struct xread *x, enum xread_state next, struct err *e)
{
    static const char PAIR[4] = "*2\r\n";
    const char *at = x->buffer + x->at;
    int64_t count;
    enum step step = STEP_ON;
    if (x->end - x->at >= sizeof(PAIR) && memcmp(at, PAIR, sizeof(PAIR)) == 0)
        xread_pass(x, at + sizeof(PAIR)); /* nearly always */
    else
        step = xread_read_count(x, '*', 2, 2, &count, e);
    if (step == STEP_ON)
        x->state = next;
    return step;
}

static enum step read_name(struct xread *x, struct err *e)
{
    struct text name;
    enum step step = xread_read_short(x, &name, e);
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

static enum step read_entries(struct xread *x, struct err *e)
{
    int64_t count;
    enum step step = xread_read_count(x, '*', 0, COUNT_MAX, &count, e);
    if (step != STEP_ON)
        return step;
    x->entries_left = (uint32_t)count;
    return expect_entry(x);
}

static enum step read_id(struct xread *x, struct err *e)
{
    struct text text;
    enum step step = xread_read_short(x, &text, e);
    if (step != STEP_ON)
        return step;
    struct entry_id id;
    if (entry_id_parse_bytes(text.data, text.length, &id) != 0)
        return xread_bad(x, e, "an id is not two numbers of 64 bits with a hyphen");
    entries_add(x->target, id.ms, id.seq);
    x->state = XREAD_AT_FIELDS;
    return STEP_ON;
}

static enum step read_fields(struct xread *x, struct err *e)
{
    int64_t count;
    bool is_string = x->at < x->end && x->buffer[x->at] == '$';
    enum step step =
        xread_read_count(x, is_string ? '$' : '*', -1, is_string ? -1 : COUNT_MAX, &count, e);
    if (step != STEP_ON)
        return step;
    if (count > 0 && count % 2 != 0)
        return xread_bad(x, e, "a name without a value");
    if (count <= 0)
        return expect_entry(x);
    x->strings_left = (uint32_t)count;
    x->state = XREAD_AT_STRING;
    return STEP_ON;
}

static enum step read_strings(struct xread *x, struct err *e)
{
    enum step step = xread_read_strings(x, e);
    return step == STEP_ON && x->strings_left == 0 ? expect_entry(x) : step;
}

static enum step read_token(struct xread *x, struct err *e)
{
    switch (x->state) {
    case XREAD_AT_REPLY:
        return read_reply(x, e);
    case XREAD_AT_STREAM:
        return read_pair(x, XREAD_AT_NAME, e);
    case XREAD_AT_NAME:
        return read_name(x, e);
    case XREAD_AT_ENTRIES:
        return read_entries(x, e);
    case XREAD_AT_ENTRY:
        return read_pair(x, XREAD_AT_ID, e);
    case XREAD_AT_ID:
        return read_id(x, e);
    case XREAD_AT_FIELDS:
        return read_fields(x, e);
    case XREAD_AT_STRING:
        return read_strings(x, e);
    case XREAD_AT_LINE:
        return read_line(x, e);
    }
    assert(0 && "no such state");
}

int xread_take(struct xread *x, size_t n, struct err *e)
{
    enum step step = STEP_ON;
    *e = (struct err){0};
    if (x->body && x->body_left > 0) {
        x->body += n;
        x->body_left -= n;
        x->passed += n;
    } else {
        x->end += n;
    }
    if (is_cleared(x)) {
        err_set(e, ERR_INPUT, "the entries of an XREAD reply were cleared while it came in");
        step = STEP_BAD;
    }
    while (step == STEP_ON)
        step = read_token(x, e);
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
