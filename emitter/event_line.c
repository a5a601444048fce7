/* One line of NDJSON as an event, or the reason why it is none. */
#include "emitter/event_line.h"

#include "common/dec.h"
#include "emitter/json_scan.h"

#include <stdarg.h>
#include <stdio.h>

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

static enum event_known known_of(struct slice name)
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
        return refuse(e, "%s: comes twice", name);
    if (kind == JSON_OTHER || (kind == JSON_NUMBER && !may_be_number))
        return refuse(e, "%s: must be a string%s", name, may_be_number ? " or a number" : "");
    e->given[known] = true;
    e->known[known] = value;
    return 0;
}

/* name is [a-z0-9_]{1,64}, so it may be shown. */
static int add_dimension(struct event_line *e, struct slice name, enum json_kind kind,
                         struct slice value)
{
    int shown = (int)name.length;

    if (!str_is_name(name.data, name.length))
        return refuse(e, "a field's name is not [a-z0-9_]{1,64}");
    if (kind != JSON_TEXT)
        return refuse(e, "%.*s: must be a string", shown, name.data);
    if (value.length > DIMENSION_MAX_BYTES)
        return refuse(e, "%.*s: %zu bytes, at most %d", shown, name.data, value.length,
                      DIMENSION_MAX_BYTES);
    for (int i = 0; i < e->dimensions_count; i++)
        if (slice_equals(e->dimensions[i].name, name))
            return refuse(e, "%.*s: comes twice", shown, name.data);
    if (e->dimensions_count == DIMENSIONS_MAX)
        return refuse(e, "%.*s: more than %d dimensions", shown, name.data, DIMENSIONS_MAX);
    e->dimensions[e->dimensions_count++] = (struct event_field){name, value};
    return 0;
}

static int collect(struct event_line *e, const char *line, size_t length)
{
    struct json_scan scan;
    struct slice name;
    struct slice value;
    enum json_kind kind;
    int more = json_open(&scan, line, length, &e->text) ? -1 : 1;

    while (more > 0 && (more = json_next(&scan, &name, &kind, &value)) > 0) {
        enum event_known known = known_of(name);
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
        return refuse(e, "op: is not retract");
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
        return refuse(e, "tenant: %zu bytes, at most %d", tenant.length, TENANT_MAX_BYTES);
    if (str_has_control(tenant.data, tenant.length))
        return refuse(e, "tenant: holds a control character");
    return 0;
}

static int check_metric(struct event_line *e, const struct metric_names *metrics)
{
    struct slice metric = e->known[EVENT_METRIC];

    if (!e->given[EVENT_METRIC])
        return e->given[EVENT_OP] ? 0 : refuse(e, "metric: is missing");
    if (!str_is_name(metric.data, metric.length))
        return refuse(e, "metric: is not [a-z0-9_]{1,64}");
    if (metrics && !metric_names_has(metrics, metric))
        return refuse(e, "metric: %.*s is not one that events may name in the catalog",
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
    return refuse(e, "quantity: is not -?[0-9]{1,18}(\\.[0-9]{1,9})?");
}

static int check_id(struct event_line *e)
{
    struct slice id = e->known[EVENT_ID];

    if (!e->given[EVENT_ID])
        return e->given[EVENT_OP] ? refuse(e, "id: is missing, of the event to retract") : 0;
    if (id.length == 0)
        return refuse(e, "id: is empty");
    if (id.length > EVENT_ID_MAX_BYTES)
        return refuse(e, "id: %zu bytes, at most %d", id.length, EVENT_ID_MAX_BYTES);
    return 0;
}

static int check_ts(struct event_line *e, int64_t now_ms)
{
    struct slice ts = e->known[EVENT_TS];
    int64_t ms;

    if (!e->given[EVENT_TS])
        return 0;
    if (str_to_i64(ts.data, ts.length, &ms))
        return refuse(e, "ts: is not a whole number of Unix milliseconds");
    if (ms < now_ms - EVENT_AGE_MAX_MS)
        return refuse(e, "ts: is more than 35 days ago");
    if (ms > now_ms + EVENT_FUTURE_MAX_MS)
        return refuse(e, "ts: is more than 5 minutes ahead");
    return 0;
}

int event_line_parse(struct event_line *e, const char *line, size_t length, int64_t now_ms,
                     const struct metric_names *metrics)
{
    memset(e->given, 0, sizeof e->given);
    e->dimensions_count = 0;
    if (!str_is_utf8(line, length))
        return refuse(e, "not JSON: not UTF-8, or a NUL in it");
    if (collect(e, line, length) || check_op(e) || check_tenant(e) || check_metric(e, metrics) ||
        check_quantity(e) || check_id(e) || check_ts(e, now_ms))
        return -1;
    return 0;
}

void event_line_done(struct event_line *e)
{
    buf_done(&e->text);
}
