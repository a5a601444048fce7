/* The shape, with the depth of each part:
 *
 *     0 array   streams, one
 *     1   array   name and entries
 *     2     string  name
 *     2     array   entries
 *     3       array   id and fields
 *     4         string  id
 *     4         array   fields, or nil if the entry was deleted
 *     5           string  name, value, name, value …
 *
 * hiredis asks for an object per array and string. Ours are only addresses: the root's is the
 * reader's reply, another array's is levels + its depth, so that a child finds its own depth in one
 * step. */
#include "aggregator/entries.h"

#include "common/str.h"

#include <assert.h>
#include <stdlib.h>

enum depth { DEPTH_ROOT, DEPTH_STREAM, DEPTH_NAME, DEPTH_ENTRY, DEPTH_ID, DEPTH_FIELD };

void entries_clear(struct entries *e)
{
    e->count = 0;
    e->strings_count = 0;
    e->bytes = 0;
    e->clears++;
    arena_clear(&e->arena);
}

void entries_done(struct entries *e)
{
    arena_done(&e->arena);
    free(e->list);
    free(e->strings);
    *e = (struct entries){.clears = e->clears + 1};
}

void entries_add(struct entries *e, uint64_t ms, uint64_t seq)
{
    if (e->count == e->capacity) {
        assert(e->capacity <= UINT32_MAX / 2);
        e->capacity = e->capacity == 0 ? 1024 : e->capacity * 2;
        e->list = xrealloc(e->list, e->capacity * sizeof(*e->list));
    }
    e->list[e->count++] = (struct entry){.ms = ms, .seq = seq, .first_field = e->strings_count};
}

static void add_string(struct entries *e, const char *data, uint32_t length)
{
    struct entry *entry = &e->list[e->count - 1];

    if (e->strings_count == e->strings_capacity) {
        assert(e->strings_capacity <= UINT32_MAX / 2);
        e->strings_capacity = e->strings_capacity == 0 ? 8192 : e->strings_capacity * 2;
        e->strings = xrealloc(e->strings, e->strings_capacity * sizeof(*e->strings));
    }
    e->strings[e->strings_count++] = arena_copy(&e->arena, data, length);
    entry->fields++;
    entry->bytes += length;
    e->bytes += length;
}

void entries_add_field(struct entries *e, struct text name, struct text value)
{
    add_string(e, name.data, name.length);
    add_string(e, value.data, value.length);
}

static int depth_of(const struct entries_reader *r, const redisReadTask *task)
{
    if (task->parent == NULL)
        return DEPTH_ROOT;
    if (task->parent->obj == &r->reply)
        return DEPTH_STREAM;
    return (int)((const char *)task->parent->obj - r->levels) + 1;
}

static void *malformed(struct entries_reader *r)
{
    r->malformed = true;
    return r->levels; /* not NULL, which would mean "out of memory"; nothing looks at it */
}

static void set_mark(struct entries_reader *r)
{
    const struct entries *e = r->decoding;

    if (e == NULL)
        return;
    r->mark_clears = e->clears;
    r->mark_count = e->count;
    r->mark_strings = e->strings_count;
    r->mark_bytes = e->bytes;
}

static bool is_cleared(const struct entries_reader *r)
{
    return r->decoding == NULL || r->decoding->clears != r->mark_clears;
}

static void *begin_reply(struct entries_reader *r, int type)
{
    free(r->text);
    r->text = NULL;
    r->malformed = false;
    r->reply = (redisReply){.type = type};
    r->decoding = r->target;
    set_mark(r);
    return &r->reply;
}

static void *begin_plain(struct entries_reader *r, int type, const char *data, size_t length)
{
    begin_reply(r, type);
    r->text = xstrndup(data, length);
    r->reply.str = r->text;
    r->reply.len = length;
    return &r->reply;
}

/* One half of an id: decimal digits of 64 bits. Returns what follows them, or NULL. */
static const char *parse_half(const char *at, const char *end, uint64_t *out)
{
    const char *start = at;
    uint64_t value = 0;

    for (; at < end && *at >= '0' && *at <= '9'; at++) {
        if (__builtin_mul_overflow(value, (uint64_t)10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
            return NULL;
    }
    *out = value;
    return at == start ? NULL : at;
}

static void *add_id(struct entries_reader *r, const char *data, size_t length)
{
    const char *end = data + length;
    uint64_t ms = 0;
    uint64_t seq = 0;
    const char *at = parse_half(data, end, &ms);

    if (at == NULL || at == end || *at != '-')
        return malformed(r);
    at = parse_half(at + 1, end, &seq);
    if (at != end)
        return malformed(r);
    entries_add(r->decoding, ms, seq);
    return r->levels;
}

static void *add_field(struct entries_reader *r, const char *data, size_t length)
{
    const struct entry *entry = &r->decoding->list[r->decoding->count - 1];

    if (length > UINT32_MAX - entry->bytes)
        return malformed(r);
    add_string(r->decoding, data, (uint32_t)length);
    return r->levels;
}

static void *on_string(const redisReadTask *task, char *data, size_t length)
{
    struct entries_reader *r = task->privdata;
    int depth = depth_of(r, task);

    if (depth == DEPTH_ROOT)
        return begin_plain(r, task->type, data, length);
    if (r->malformed || task->type != REDIS_REPLY_STRING || is_cleared(r))
        return malformed(r);
    if (depth == DEPTH_NAME && task->idx == 0)
        return r->levels;
    if (depth == DEPTH_ID && task->idx == 0)
        return add_id(r, data, length);
    if (depth == DEPTH_FIELD)
        return add_field(r, data, length);
    return malformed(r);
}

static bool is_shape(const redisReadTask *task, int depth, int elements)
{
    switch (depth) {
    case DEPTH_STREAM:
    case DEPTH_ENTRY:
        return elements == 2;
    case DEPTH_NAME: /* the entries */
        return task->idx == 1;
    case DEPTH_ID: /* the fields */
        return task->idx == 1 && elements % 2 == 0;
    default:
        return false;
    }
}

static void *on_array(const redisReadTask *task, int elements)
{
    struct entries_reader *r = task->privdata;
    int depth = depth_of(r, task);

    if (depth == DEPTH_ROOT) {
        begin_reply(r, REDIS_REPLY_ARRAY);
        r->reply.elements = (size_t)elements;
        r->malformed = elements != 1 || r->decoding == NULL;
        return &r->reply;
    }
    assert(depth < (int)sizeof(r->levels)); /* hiredis stops at 7 */
    if (!is_shape(task, depth, elements))
        r->malformed = true;
    return r->levels + depth;
}

static void *on_integer(const redisReadTask *task, long long value)
{
    struct entries_reader *r = task->privdata;

    if (depth_of(r, task) != DEPTH_ROOT)
        return malformed(r);
    begin_reply(r, REDIS_REPLY_INTEGER);
    r->reply.integer = value;
    return &r->reply;
}

static void *on_nil(const redisReadTask *task)
{
    struct entries_reader *r = task->privdata;
    int depth = depth_of(r, task);

    if (depth == DEPTH_ROOT)
        return begin_reply(r, REDIS_REPLY_NIL);
    if (depth == DEPTH_ID && task->idx == 1)
        return r->levels; /* deleted: an id without fields */
    return malformed(r);
}

/* After the callback, or when a reply breaks off: forget what was not accepted. Its bytes stay in
 * the arena until the target is cleared. */
static void on_free(void *object)
{
    struct entries_reader *r = object; /* reply is its first member */
    struct entries *e = r->decoding;

    r->decoding = NULL;
    if (e == NULL || e->clears != r->mark_clears)
        return;
    e->count = r->mark_count;
    e->strings_count = r->mark_strings;
    e->bytes = r->mark_bytes;
}

redisReplyObjectFunctions ENTRIES_READER_FUNCTIONS = {
    .createString = on_string,
    .createArray = on_array,
    .createInteger = on_integer,
    .createNil = on_nil,
    .freeObject = on_free,
};

void entries_reader_target(struct entries_reader *r, struct entries *target)
{
    r->target = target;
}

int entries_accept(struct entries_reader *r, const void *reply, struct err *e)
{
    const redisReply *root = reply;

    assert(root == &r->reply);
    if (root->type == REDIS_REPLY_ERROR)
        return err_set(e, ERR_REFUSED, "%.150s", root->str);
    if (root->type == REDIS_REPLY_NIL)
        return 0;
    if (root->type != REDIS_REPLY_ARRAY || r->malformed || is_cleared(r))
        return err_set(e, ERR_INPUT, "a reply to XREAD is not of its shape");
    set_mark(r);
    return 0;
}

void entries_reader_done(struct entries_reader *r)
{
    free(r->text);
    *r = (struct entries_reader){0};
}
