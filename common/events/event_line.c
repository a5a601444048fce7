#include "common/events/event_line.h"

#include "common/dec.h"
#include "common/events/json_scan.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

enum { COUNT_TEXT_MAX = 24 };

const char *const EVENT_NAMES[EVENT_KNOWN] = {FIELD_TENANT, FIELD_METRIC, FIELD_QUANTITY,
                                              FIELD_ID,     FIELD_TS,     FIELD_OP};

static int refuse(struct event_line *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int refuse(struct event_line *e, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(e->why, sizeof e->why, format, args);
    va_end(args);
    return -1;
}

static enum event_known known_field(struct slice name)
{
    for (int i = 0; i < EVENT_KNOWN; i++)
        if (strlen(EVENT_NAMES[i]) == name.length &&
            memcmp(EVENT_NAMES[i], name.data, name.length) == 0)
            return (enum event_known)i;
    return EVENT_KNOWN;
}

static int add_known(struct event_line *e, enum event_known known, enum json_kind kind,
                     struct slice value)
{
    const char *name = EVENT_NAMES[known];
    bool may_be_number = known == EVENT_QUANTITY || known == EVENT_TS;
    if (e->given[known])
        return refuse(e, "%s: is given twice", name);
    if (kind == JSON_OTHER || (kind == JSON_NUMBER && !may_be_number))
        return refuse(e, "%s: must be a string%s", name, may_be_number ? " or a number" : "");
    e->given[known] = true;
    e->known[known] = value;
    return 0;
}

/* A valid name is [a-z0-9_]{1,64}, so it may stand in messages. */
static int add_dimension(struct event_line *e, struct slice name, enum json_kind kind,
                         struct slice value)
{
    int shown = (int)name.length;
    if (!str_is_name(name.data, name.length))
        return refuse(e, "the name of a field must be [a-z0-9_]{1,64}");
    if (kind != JSON_TEXT)
        return refuse(e, "%.*s: must be a string", shown, name.data);
    if (value.length > DIMENSION_MAX_BYTES)
        return refuse(e, "%.*s: has %zu bytes, the limit is %d", shown, name.data, value.length,
                      DIMENSION_MAX_BYTES);
    for (int i = 0; i < e->dimensions_count; i++)
        if (slice_equals(e->dimensions[i].name, name))
            return refuse(e, "%.*s: is given twice", shown, name.data);
    if (e->dimensions_count == DIMENSIONS_MAX)
        return refuse(e, "%.*s: too many dimensions, the limit is %d", shown, name.data,
                      DIMENSIONS_MAX);
    e->dimensions[e->dimensions_count++] = (struct event_field){name, value};
    return 0;
}

static int collect(struct event_line *e, const char *line, size_t length)
{
    struct json_scan scan;
    struct slice name;
    struct slice value;
    enum json_kind kind;
    int more = json_scan_open(&scan, line, length, &e->text) ? -1 : 1;
    while (more > 0 && (more = json_scan_next(&scan, &name, &kind, &value)) > 0) {
        enum event_known known = known_field(name);
        if (known != EVENT_KNOWN ? add_known(e, known, kind, value)
                                 : add_dimension(e, name, kind, value))
            return -1;
    }
    if (more < 0)
        return refuse(e, "not JSON: %s (byte %zu)", scan.fault, (size_t)(scan.at - line) + 1);
    return 0;
}

static int check_op(struct event_line *e)
{
    static const struct slice RETRACT = {"retract", sizeof "retract" - 1};
    if (e->given[EVENT_OP] && !slice_equals(e->known[EVENT_OP], RETRACT))
        return refuse(e, "op: must be retract");
    return 0;
}

static int check_tenant(struct event_line *e)
{
    struct slice tenant = e->known[EVENT_TENANT];
    if (!e->given[EVENT_TENANT])
        return refuse(e, "tenant: is missing");
    if (tenant.length == 0)
        return refuse(e, "tenant: is empty");
    if (tenant.length > TENANT_MAX_BYTES)
        return refuse(e, "tenant: has %zu bytes, the limit is %d", tenant.length, TENANT_MAX_BYTES);
    if (str_has_control(tenant.data, tenant.length))
        return refuse(e, "tenant: contains a control character");
    return 0;
}

static int check_metric(struct event_line *e, const struct metric_names *metrics)
{
    struct slice metric = e->known[EVENT_METRIC];
    if (!e->given[EVENT_METRIC])
        return e->given[EVENT_OP] ? 0 : refuse(e, "metric: is missing");
    if (!str_is_name(metric.data, metric.length))
        return refuse(e, "metric: must be [a-z0-9_]{1,64}");
    if (metrics && !metric_names_has(metrics, metric))
        return refuse(e, "metric: %.*s is not in the catalog, or is derived from another metric",
                      (int)metric.length, metric.data);
    return 0;
}

static int check_quantity(struct event_line *e)
{
    struct slice quantity = e->known[EVENT_QUANTITY];
    struct dec ignored;
    if (!e->given[EVENT_QUANTITY] ||
        dec_parse_quantity(quantity.data, quantity.length, &ignored) == 0)
        return 0;
    if (memchr(quantity.data, 'e', quantity.length) || memchr(quantity.data, 'E', quantity.length))
        return refuse(e, "quantity: must be written without an exponent");
    return refuse(e, "quantity: must be a decimal of up to 18 digits, and up to 9 behind a point");
}

static int check_id(struct event_line *e)
{
    struct slice id = e->known[EVENT_ID];
    if (!e->given[EVENT_ID])
        return e->given[EVENT_OP] ? refuse(e, "id: is missing: which event is to be retracted?")
                                  : 0;
    if (id.length == 0)
        return refuse(e, "id: is empty");
    if (id.length > EVENT_ID_MAX_BYTES)
        return refuse(e, "id: has %zu bytes, the limit is %d", id.length, EVENT_ID_MAX_BYTES);
    return 0;
}

static int check_ts(struct event_line *e, int64_t now_ms)
{
    struct slice ts = e->known[EVENT_TS];
    int64_t ms;
    if (!e->given[EVENT_TS])
        return 0;
    if (str_to_i64(ts.data, ts.length, &ms))
        return refuse(e, "ts: must be Unix milliseconds, a whole number");
    if (e->oldest_ms && ms < e->oldest_ms)
        return refuse(e, "ts: is before the time that is let in");
    if (!e->oldest_ms && ms < now_ms - EVENT_AGE_MAX_MS)
        return refuse(e, "ts: is more than 35 days ago");
    if (ms > now_ms + EVENT_FUTURE_MAX_MS)
        return refuse(e, "ts: is more than 5 minutes in the future");
    return 0;
}

void event_line_begin(struct event_line *e)
{
    memset(e->given, 0, sizeof e->given);
    e->dimensions_count = 0;
}

int event_line_give(struct event_line *e, enum event_known known, struct slice value)
{
    if (!str_is_utf8(value.data, value.length))
        return refuse(e, "%s: is no UTF-8", EVENT_NAMES[known]);
    return add_known(e, known, JSON_TEXT, value);
}

int event_line_give_dimension(struct event_line *e, struct slice name, struct slice value)
{
    enum event_known known = known_field(name);
    if (known != EVENT_KNOWN)
        return refuse(e, "%s: is a field of the event, not a dimension", EVENT_NAMES[known]);
    if (add_dimension(e, name, JSON_TEXT, value))
        return -1;
    return str_is_utf8(value.data, value.length)
               ? 0
               : refuse(e, "%.*s: is no UTF-8", (int)name.length, name.data);
}

int event_line_check(struct event_line *e, int64_t now_ms, const struct metric_names *metrics)
{
    if (check_op(e) || check_tenant(e) || check_metric(e, metrics) || check_quantity(e) ||
        check_id(e) || check_ts(e, now_ms))
        return -1;
    return 0;
}

int event_line_read(struct event_line *e, const char *line, size_t length)
{
    event_line_begin(e);
    if (!str_is_utf8(line, length))
        return refuse(e, "not JSON: invalid UTF-8, or a NUL byte");
    return collect(e, line, length);
}

int event_line_parse(struct event_line *e, const char *line, size_t length, int64_t now_ms,
                     const struct metric_names *metrics)
{
    return event_line_read(e, line, length) ? -1 : event_line_check(e, now_ms, metrics);
}

/* "$12\r\n" or "*9\r\n". */
static void add_count(struct buf *out, char kind, size_t value)
{
    char text[COUNT_TEXT_MAX];
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

void event_line_add_command(const struct event_line *e, const char *key, const char *own_id,
                            const char *own_ts, struct buf *out)
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

static void add_argument(struct event_arguments *out, const char *data, size_t length)
{
    out->argv[out->count] = data;
    out->lengths[out->count++] = length;
}

static void add_pair(struct event_arguments *out, const char *name, struct slice value)
{
    add_argument(out, name, strlen(name));
    add_argument(out, value.data, value.length);
}

void event_line_arguments(const struct event_line *e, const char *key, const char *own_ts,
                          struct event_arguments *out)
{
    assert(e->given[EVENT_ID]);
    out->count = 0;
    add_argument(out, "XADD", 4);
    add_argument(out, key, strlen(key));
    add_argument(out, "*", 1);
    for (int i = 0; i < EVENT_KNOWN; i++)
        if (e->given[i])
            add_pair(out, EVENT_NAMES[i], e->known[i]);
    if (!e->given[EVENT_TS] && !e->given[EVENT_OP])
        add_pair(out, FIELD_TS, (struct slice){own_ts, strlen(own_ts)});
    for (int i = 0; i < e->dimensions_count; i++) {
        add_argument(out, e->dimensions[i].name.data, e->dimensions[i].name.length);
        add_argument(out, e->dimensions[i].value.data, e->dimensions[i].value.length);
    }
}

void event_line_done(struct event_line *e)
{
    buf_done(&e->text);
}
