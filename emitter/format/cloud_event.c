#include "emitter/format/cloud_event.h"

#include "common/clock.h"
#include "common/json_exact.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

const char *const CLOUD_NAMES[CLOUD_ATTRIBUTES] = {"specversion", "id",      "source",
                                                   "type",        "subject", "time"};
static const bool IS_REQUIRED[CLOUD_ATTRIBUTES] = {true, true, true, true, false, false};

static int refuse(struct format *f, const char *name, const char *why)
{
    snprintf(f->event.why, sizeof f->event.why, "CloudEvent: %s: %s", name, why);
    return -1;
}

/* Time. */

/* So many digits. Moves on; -1 if they are not there. */
static int pop_number(const char **at, int digits)
{
    int value = 0;
    for (int i = 0; i < digits; i++, ++*at) {
        if (**at < '0' || **at > '9')
            return -1;
        value = value * 10 + (**at - '0');
    }
    return value;
}

static bool pop_char(const char **at, char c)
{
    bool is_there = **at == c;
    *at += is_there;
    return is_there;
}

static bool pop_fields(const char **at, struct tm *out)
{
    *out = (struct tm){.tm_year = pop_number(at, 4) - 1900};
    if (!pop_char(at, '-'))
        return false;
    out->tm_mon = pop_number(at, 2) - 1;
    if (!pop_char(at, '-'))
        return false;
    out->tm_mday = pop_number(at, 2);
    if (!pop_char(at, 'T') && !pop_char(at, 't'))
        return false;
    out->tm_hour = pop_number(at, 2);
    if (!pop_char(at, ':'))
        return false;
    out->tm_min = pop_number(at, 2);
    if (!pop_char(at, ':'))
        return false;
    out->tm_sec = pop_number(at, 2);
    return out->tm_sec >= 0 && out->tm_sec <= 60 && out->tm_min >= 0 && out->tm_min <= 59 &&
           out->tm_hour >= 0 && out->tm_hour <= 23 && out->tm_year >= -1900;
}

/* A fraction of a second, in ms. */
static int pop_fraction(const char **at)
{
    int value = 0;
    int digits = 0;
    if (!pop_char(at, '.'))
        return 0;
    for (; **at >= '0' && **at <= '9'; ++*at, digits++)
        value = digits < 3 ? value * 10 + (**at - '0') : value;
    for (int i = digits; i < 3; i++)
        value *= 10;
    return digits > 0 ? value : -1;
}

/* Minutes that the zone is ahead. Returns 0, or -1. */
static int pop_zone(const char **at, int *ahead)
{
    *ahead = 0;
    if (pop_char(at, 'Z') || pop_char(at, 'z'))
        return 0;
    int sign = pop_char(at, '+') ? 1 : pop_char(at, '-') ? -1 : 0;
    int hours = sign ? pop_number(at, 2) : -1;
    int minutes = hours >= 0 && pop_char(at, ':') ? pop_number(at, 2) : -1;
    *ahead = sign * (hours * 60 + minutes);
    return hours >= 0 && hours <= 23 && minutes >= 0 && minutes <= 59 ? 0 : -1;
}

int cloud_time_ms(const char *text, int64_t *unix_ms)
{
    struct tm fields;
    int ahead;
    if (!pop_fields(&text, &fields))
        return -1;
    struct tm check = fields;
    int ms = pop_fraction(&text);
    if (ms < 0 || pop_zone(&text, &ahead) || *text)
        return -1;
    int64_t seconds = timegm(&check);
    /* A day that the month does not have has become one of the next. */
    if (check.tm_mon != fields.tm_mon && fields.tm_sec < 60)
        return -1;
    if (fields.tm_mon < 0 || fields.tm_mon > 11 || fields.tm_mday < 1 || fields.tm_mday > 31)
        return -1;
    *unix_ms = (seconds - 60LL * ahead) * 1000 + ms;
    return 0;
}

/* One event. */

static int check_attributes(struct format *f, const char *const *attributes)
{
    for (int i = 0; i < CLOUD_ATTRIBUTES; i++)
        if (IS_REQUIRED[i] && (!attributes[i] || !*attributes[i]))
            return refuse(f, CLOUD_NAMES[i], "is missing");
    if (strcmp(attributes[CLOUD_SPECVERSION], "1.0") != 0)
        return refuse(f, "specversion", "must be 1.0");
    return 0;
}

static int give_text(struct format *f, enum event_known known, const char *text)
{
    return event_line_give(&f->event, known, (struct slice){text, strlen(text)});
}

static int give_data(struct format *f, const json_t *data)
{
    const char *name;
    json_t *value;
    if (data && !json_is_null(data) && !json_is_object(data))
        return refuse(f, "data", "must be an object");
    json_object_foreach((json_t *)data, name, value) if (format_give(f, name, value)) return -1;
    return 0;
}

/* What the data did not say. */
static int give_attributes(struct format *f, const char *const *attributes, const char *id)
{
    const struct event_line *e = &f->event;
    int64_t ms;
    if (e->given[EVENT_ID])
        return refuse(f, "data", "has an id, but the id is source and id of the CloudEvent");
    if (give_text(f, EVENT_ID, id))
        return -1;
    if (!e->given[EVENT_TENANT] && attributes[CLOUD_SUBJECT] && *attributes[CLOUD_SUBJECT] &&
        give_text(f, EVENT_TENANT, attributes[CLOUD_SUBJECT]))
        return -1;
    if (!e->given[EVENT_METRIC] && give_text(f, EVENT_METRIC, attributes[CLOUD_TYPE]))
        return -1;
    if (e->given[EVENT_TS] || !attributes[CLOUD_TIME])
        return 0;
    if (cloud_time_ms(attributes[CLOUD_TIME], &ms))
        return refuse(f, "time", "must be like 2026-11-21T06:41:10.920Z (RFC 3339)");
    return format_give_number(f, EVENT_TS, ms);
}

static void read_one(struct format *f, const char *const *attributes, const json_t *data)
{
    format_begin(f);
    if (check_attributes(f, attributes)) {
        format_end(f, -1);
        return;
    }
    char *id = xasprintf("%s %s", attributes[CLOUD_SOURCE], attributes[CLOUD_ID]);
    format_end(f, give_data(f, data) || give_attributes(f, attributes, id));
    free(id);
}

/* Structured. */

/* data_base64 is JSON, too. Returns a new reference, or NULL. */
static json_t *load_base64(const json_t *encoded)
{
    size_t size = json_string_length(encoded) / 4 * 3 + 3;
    size_t length = 0;
    unsigned char *bytes = xmalloc(size);
    json_t *data = NULL;
    if (sodium_base642bin(bytes, size, json_string_value(encoded), json_string_length(encoded),
                          NULL, &length, NULL, sodium_base64_VARIANT_ORIGINAL) == 0)
        data = json_exact_load((const char *)bytes, length);
    free(bytes);
    return data;
}

static void refuse_whole(struct format *f, const char *name, const char *why)
{
    format_begin(f);
    format_end(f, refuse(f, name, why));
}

static void read_structured(struct format *f, const json_t *event)
{
    const char *attributes[CLOUD_ATTRIBUTES];
    const json_t *encoded = json_object_get(event, "data_base64");
    for (int i = 0; i < CLOUD_ATTRIBUTES; i++) {
        const json_t *value = json_object_get(event, CLOUD_NAMES[i]);
        attributes[i] = json_string_value(value);
        if (value && !json_is_string(value) && !json_is_null(value)) {
            refuse_whole(f, CLOUD_NAMES[i], "must be a string");
            return;
        }
    }
    if (!encoded) {
        read_one(f, attributes, json_object_get(event, "data"));
        return;
    }
    json_t *data = json_is_string(encoded) ? load_base64(encoded) : NULL;
    if (data)
        read_one(f, attributes, data);
    else
        refuse_whole(f, "data_base64", "is not JSON in base64");
    json_decref(data);
}

static json_t *load(const char *body, size_t length, struct err *e)
{
    json_t *found = json_exact_load(body, length);
    if (!found)
        err_set(e, ERR_INPUT, "the body is not JSON");
    return found;
}

int format_cloud_event(struct format *f, const char *body, size_t length, struct err *e)
{
    json_t *event = load(body, length, e);
    if (!event)
        return -1;
    int result = json_is_object(event) ? 0
                                       : err_set(e, ERR_INPUT,
                                                 "a CloudEvent must be an object; several are "
                                                 "application/cloudevents-batch+json");
    if (result == 0)
        read_structured(f, event);
    json_decref(event);
    return result;
}

int format_cloud_batch(struct format *f, const char *body, size_t length, struct err *e)
{
    json_t *batch = load(body, length, e);
    if (!batch)
        return -1;
    int result =
        json_is_array(batch) ? 0 : err_set(e, ERR_INPUT, "a batch of CloudEvents must be an array");
    for (size_t i = 0; i < json_array_size(batch); i++) {
        const json_t *event = json_array_get(batch, i);
        if (json_is_object(event))
            read_structured(f, event);
        else
            refuse_whole(f, "event", "must be an object");
    }
    json_decref(batch);
    return result;
}

/* Binary. */

static int hex_of(char c)
{
    const char *digits = "0123456789abcdef";
    const char *found = c ? strchr(digits, c | 0x20) : NULL;
    return found ? (int)(found - digits) : -1;
}

/* Characters that a header may not have come as %XX of their UTF-8. malloc'd. */
static char *decode(const char *header)
{
    char *text = xstrdup(header);
    char *to = text;
    for (const char *at = text; *at; at++) {
        int high = *at == '%' ? hex_of(at[1]) : -1;
        int low = high >= 0 ? hex_of(at[2]) : -1;
        bool is_encoded = low >= 0 && high * 16 + low != 0;
        *to++ = is_encoded ? (char)(high * 16 + low) : *at;
        at += is_encoded ? 2 : 0;
    }
    *to = '\0';
    return text;
}

int format_cloud_binary(struct format *f, const char *const headers[CLOUD_ATTRIBUTES],
                        const char *body, size_t length, struct err *e)
{
    char *attributes[CLOUD_ATTRIBUTES];
    json_t *data = length > 0 ? load(body, length, e) : json_null();
    if (!data)
        return -1;
    for (int i = 0; i < CLOUD_ATTRIBUTES; i++)
        attributes[i] = headers[i] ? decode(headers[i]) : NULL;
    read_one(f, (const char *const *)attributes, data);
    for (int i = 0; i < CLOUD_ATTRIBUTES; i++)
        free(attributes[i]);
    json_decref(data);
    return 0;
}
