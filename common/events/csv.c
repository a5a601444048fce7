#include "common/events/csv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Records. */

static size_t count_quotes(const char *at, const char *end)
{
    size_t n = 0;
    for (; (at = memchr(at, '"', (size_t)(end - at))); at++)
        n++;
    return n;
}

bool csv_is_open(struct slice record)
{
    return count_quotes(record.data, record.data + record.length) % 2 != 0;
}

int csv_pop_record(struct slice *text, struct slice *record)
{
    const char *start = text->data;
    const char *end = text->data + text->length;
    const char *from = start;
    const char *stop = end;
    size_t quotes = 0;
    if (text->length == 0)
        return 0;
    do {
        stop = memchr(from, '\n', (size_t)(end - from));
        stop = stop ? stop : end;
        quotes += count_quotes(from, stop);
        from = stop < end ? stop + 1 : end;
    } while (quotes % 2 != 0 && stop < end);
    *text = (struct slice){from, (size_t)(end - from)};
    *record = (struct slice){start, (size_t)(stop - start)};
    if (record->length > 0 && start[record->length - 1] == '\r')
        record->length--;
    return 1;
}

/* Values. */

/* Takes the next value of a record, *more: another one follows. text: has room for all of it.
 * Returns 0, or -1: a quote where none may be. */
static int pop_value(struct slice *rest, struct buf *text, struct slice *value, bool *more)
{
    const char *at = rest->data;
    const char *end = rest->data + rest->length;
    if (at < end && *at == '"') {
        size_t offset = text->length;
        bool is_open = true;
        for (at++; at < end && is_open;) {
            const char *quote = memchr(at, '"', (size_t)(end - at));
            if (!quote)
                return -1;
            bool is_twice = quote + 1 < end && quote[1] == '"';
            buf_add(text, at, (size_t)(quote - at) + is_twice);
            at = quote + 1 + is_twice;
            is_open = is_twice;
        }
        if (is_open)
            return -1;
        *value = (struct slice){text->data ? text->data + offset : "", text->length - offset};
    } else {
        while (at < end && *at != ',' && *at != '"')
            at++;
        *value = (struct slice){rest->data, (size_t)(at - rest->data)};
    }
    if (at < end && *at != ',')
        return -1;
    *more = at < end;
    at += *more;
    *rest = (struct slice){at, (size_t)(end - at)};
    return 0;
}

/* The text of a record's values must not move while they are used. */
static void begin_record(struct csv *c, struct slice record)
{
    buf_clear(&c->text);
    buf_reserve(&c->text, record.length + 1);
}

/* Names. */

static int check_map(const char *map, struct err *e)
{
    for (const char *at = map; *at;) {
        size_t length = strcspn(at, ",");
        const char *equals = memchr(at, '=', length);
        size_t ours = equals ? (size_t)(at + length - equals) - 1 : 0;
        if (!equals || equals == at || (ours > 0 && !str_is_name(equals + 1, ours)))
            return err_set(e, ERR_USAGE,
                           "a mapping must be foreign=ours, and ours [a-z0-9_]{1,64}, "
                           "with commas between");
        at += length + (at[length] == ',');
    }
    return 0;
}

int csv_set_map(struct csv *c, const char *map, struct err *e)
{
    if (!map || !*map)
        return 0;
    c->map = xstrdup(map);
    return check_map(map, e);
}

/* Our name of a foreign one; NULL: it is not mapped. */
static char *find_mapped(const struct csv *c, struct slice foreign)
{
    for (const char *at = c->map; at && *at;) {
        size_t length = strcspn(at, ",");
        const char *equals = memchr(at, '=', length);
        if ((size_t)(equals - at) == foreign.length && !memcmp(at, foreign.data, foreign.length))
            return xstrndup(equals + 1, (size_t)(at + length - equals) - 1);
        at += length + (at[length] == ',');
    }
    return NULL;
}

static enum event_known known_of(const char *name)
{
    int i = 0;
    while (i < EVENT_KNOWN && strcmp(EVENT_NAMES[i], name) != 0)
        i++;
    return (enum event_known)i;
}

static int add_name(struct csv *c, struct slice name, struct err *e)
{
    if (c->count == CSV_FIELDS_MAX)
        return err_set(e, ERR_INPUT, "CSV: the header has more than %d fields", CSV_FIELDS_MAX);
    char *ours = find_mapped(c, name);
    if (!ours && !str_is_name(name.data, name.length))
        return err_set(e, ERR_INPUT,
                       "CSV: the name of field %d is not [a-z0-9_]{1,64}, so it must be mapped to "
                       "one that is",
                       c->count + 1);
    ours = ours ? ours : xstrndup(name.data, name.length);
    for (int i = 0; *ours && i < c->count; i++)
        if (!strcmp(c->names[i], ours)) {
            err_set(e, ERR_INPUT, "CSV: two fields are %s", ours);
            free(ours);
            return -1;
        }
    c->known[c->count] = known_of(ours);
    c->names[c->count++] = ours;
    return 0;
}

static bool has_name(const struct csv *c, const char *name)
{
    for (int i = 0; i < c->count; i++)
        if (!strcmp(c->names[i], name))
            return true;
    return false;
}

/* A mapping that meets no field is most likely misspelt, and its values would be missing. */
static int check_used(const struct csv *c, struct err *e)
{
    for (const char *at = c->map; at && *at;) {
        size_t length = strcspn(at, ",");
        const char *equals = memchr(at, '=', length);
        char *ours = xstrndup(equals + 1, (size_t)(at + length - equals) - 1);
        bool is_used = !*ours || has_name(c, ours);
        free(ours);
        if (!is_used)
            return err_set(e, ERR_INPUT, "CSV: the header has no field %.*s, which is mapped",
                           (int)(equals - at), at);
        at += length + (at[length] == ',');
    }
    return 0;
}

int csv_set_header(struct csv *c, struct slice record, struct err *e)
{
    bool more = true;
    struct slice name;
    if (!str_is_utf8(record.data, record.length))
        return err_set(e, ERR_INPUT, "CSV: the header is no UTF-8");
    begin_record(c, record);
    while (more) {
        if (pop_value(&record, &c->text, &name, &more))
            return err_set(e, ERR_INPUT, "CSV: a quote in the header is out of place");
        if (add_name(c, name, e))
            return -1;
    }
    return check_used(c, e);
}

static int refuse(struct event_line *event, const char *why)
{
    snprintf(event->why, sizeof event->why, "CSV: %s", why);
    return -1;
}

static int give(const struct csv *c, int i, struct slice value, struct event_line *event)
{
    const char *name = c->names[i];
    if (!*name || value.length == 0)
        return 0;
    return c->known[i] == EVENT_KNOWN
               ? event_line_give_dimension(event, (struct slice){name, strlen(name)}, value)
               : event_line_give(event, c->known[i], value);
}

int csv_read(struct csv *c, struct slice record, struct event_line *event)
{
    bool more = true;
    struct slice value;
    int i = 0;
    event_line_begin(event);
    begin_record(c, record);
    for (; more; i++) {
        if (pop_value(&record, &c->text, &value, &more))
            return refuse(event, "a quote is out of place");
        if (i == c->count)
            return refuse(event, "there are more values than fields in the header");
        if (give(c, i, value, event))
            return -1;
    }
    return i == c->count ? 0 : refuse(event, "there are fewer values than fields in the header");
}

void csv_done(struct csv *c)
{
    for (int i = 0; i < c->count; i++)
        free(c->names[i]);
    free(c->map);
    buf_done(&c->text);
    *c = (struct csv){0};
}
