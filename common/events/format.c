#include "common/events/format.h"

#include "common/events/csv.h"
#include "common/events/json_split.h"

#include <inttypes.h>
#include <stdio.h>

static const char BYTE_ORDER_MARK[] = "\xef\xbb\xbf";

void format_done(struct format *f)
{
    event_line_done(&f->event);
}

void format_begin(struct format *f)
{
    event_line_begin(&f->event);
    f->numbers_count = 0;
}

/* The tenant of whoever sent it stands for one that is not named. */
static int settle_tenant(struct format *f)
{
    struct event_line *e = &f->event;
    if (f->tenant.length == 0)
        return 0;
    if (!e->given[EVENT_TENANT])
        return event_line_give(e, EVENT_TENANT, f->tenant);
    if (!f->is_bound || slice_equals(e->known[EVENT_TENANT], f->tenant))
        return 0;
    snprintf(e->why, sizeof e->why, "tenant: the key is for another tenant");
    return -1;
}

void format_end(struct format *f, int failed)
{
    failed = failed || settle_tenant(f) || event_line_check(&f->event, f->now_ms, f->metrics);
    f->take(f->owner, failed ? NULL : &f->event, failed ? f->event.why : NULL);
}

/* Fields of parsed JSON. */

static enum event_known known_of(const char *name)
{
    int i = 0;
    while (i < EVENT_KNOWN && strcmp(EVENT_NAMES[i], name) != 0)
        i++;
    return (enum event_known)i;
}

int format_give_number(struct format *f, enum event_known known, int64_t value)
{
    char *text = f->numbers[f->numbers_count++ % FORMAT_NUMBERS];
    int length = snprintf(text, FORMAT_NUMBER_SIZE, "%" PRId64, value);
    return event_line_give(&f->event, known, (struct slice){text, (size_t)length});
}

static int refuse_field(struct format *f, const char *name, const char *why)
{
    if (str_is_name(name, strlen(name)))
        snprintf(f->event.why, sizeof f->event.why, "%s: %s", name, why);
    else
        snprintf(f->event.why, sizeof f->event.why, "the name of a field must be [a-z0-9_]{1,64}");
    return -1;
}

int format_give(struct format *f, const char *name, const json_t *value)
{
    enum event_known known = known_of(name);
    bool may_be_number = known == EVENT_QUANTITY || known == EVENT_TS;
    if (json_is_null(value))
        return 0;
    if (json_is_integer(value) && may_be_number)
        return format_give_number(f, known, json_integer_value(value));
    if (!json_is_string(value))
        return refuse_field(f, name,
                            may_be_number ? "must be a string or a number" : "must be a string");
    struct slice text = {json_string_value(value), json_string_length(value)};
    return known == EVENT_KNOWN
               ? event_line_give_dimension(&f->event, (struct slice){name, strlen(name)}, text)
               : event_line_give(&f->event, known, text);
}

/* JSON. */

static void read_object(struct format *f, struct slice object)
{
    f->numbers_count = 0;
    format_end(f, event_line_read(&f->event, object.data, object.length));
}

static struct slice without_mark(const char *body, size_t length)
{
    size_t mark = sizeof BYTE_ORDER_MARK - 1;
    if (length >= mark && memcmp(body, BYTE_ORDER_MARK, mark) == 0)
        return (struct slice){body + mark, length - mark};
    return (struct slice){body, length};
}

int format_json(struct format *f, const char *body, size_t length, struct err *e)
{
    struct json_split parts;
    if (json_split(&parts, without_mark(body, length), e))
        return -1;
    for (size_t i = 0; i < parts.count; i++)
        read_object(f, parts.list[i]);
    json_split_done(&parts);
    return 0;
}

/* Cuts the next line off the text, without its CR and LF. */
static struct slice pop_line(struct slice *text)
{
    const char *end = memchr(text->data, '\n', text->length);
    struct slice line = {text->data, end ? (size_t)(end - text->data) : text->length};
    size_t gone = line.length + (end != NULL);
    *text = (struct slice){text->data + gone, text->length - gone};
    if (line.length > 0 && line.data[line.length - 1] == '\r')
        line.length--;
    return line;
}

int format_lines(struct format *f, const char *body, size_t length, struct err *e)
{
    struct slice text = without_mark(body, length);
    (void)e;
    while (text.length > 0) {
        struct slice line = pop_line(&text);
        if (line.length > 0)
            read_object(f, line);
    }
    return 0;
}

/* CSV. */

int format_csv(struct format *f, const char *body, size_t length, const char *map, struct err *e)
{
    struct slice text = without_mark(body, length);
    struct csv csv = {0};
    struct slice record;
    int result = csv_set_map(&csv, map, e);
    if (result == 0 && csv_pop_record(&text, &record) == 0) {
        err_set(e, ERR_INPUT, "CSV: there is no line that names the fields");
        result = -1;
    }
    if (result == 0)
        result = csv_set_header(&csv, record, e);
    while (result == 0 && csv_pop_record(&text, &record)) {
        if (record.length == 0)
            continue;
        format_begin(f);
        format_end(f, csv_read(&csv, record, &f->event));
    }
    csv_done(&csv);
    return result;
}
