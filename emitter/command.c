/* An event as the bytes of its XADD. */
#include "emitter/command.h"

enum { LENGTH_TEXT_MAX = 24 };

/* "$12\r\n" or "*9\r\n". */
static void add_count(struct buf *out, char kind, size_t value)
{
    char text[LENGTH_TEXT_MAX];
    size_t at = sizeof text;

    text[--at] = '\n';
    text[--at] = '\r';
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    text[--at] = kind;
    buf_add(out, text + at, sizeof text - at);
}

static void add_word(struct buf *out, const char *data, size_t length)
{
    add_count(out, '$', length);
    buf_add(out, data, length);
    buf_add(out, "\r\n", 2);
}

static void add_field(struct buf *out, const char *name, const char *value, size_t length)
{
    add_word(out, name, strlen(name));
    add_word(out, value, length);
}

static size_t count_fields(const struct event_line *e, bool add_id, bool add_ts)
{
    size_t n = (size_t)e->dimensions_count + add_id + add_ts;

    for (int i = 0; i < EVENT_KNOWN; i++)
        n += e->given[i];
    return n;
}

void command_add(struct buf *out, const char *key, const struct event_line *e, const char *own_id,
                 const char *own_ts)
{
    bool add_id = !e->given[EVENT_ID];
    bool add_ts = !e->given[EVENT_TS] && !e->given[EVENT_OP];

    add_count(out, '*', 3 + 2 * count_fields(e, add_id, add_ts));
    add_word(out, "XADD", 4);
    add_word(out, key, strlen(key));
    add_word(out, "*", 1);
    for (int i = 0; i < EVENT_KNOWN; i++)
        if (e->given[i])
            add_field(out, EVENT_NAMES[i], e->known[i].data, e->known[i].length);
    if (add_id)
        add_field(out, FIELD_ID, own_id, strlen(own_id));
    if (add_ts)
        add_field(out, FIELD_TS, own_ts, strlen(own_ts));
    for (int i = 0; i < e->dimensions_count; i++) {
        const struct event_field *d = &e->dimensions[i];
        add_word(out, d->name.data, d->name.length);
        add_word(out, d->value.data, d->value.length);
    }
}
