#include "aggregator/batch/event_fields.h"

#include "common/str.h"

#include <stdarg.h>
#include <stdio.h>

int reject_set(struct reject *why, const char *reason, const char *format, ...)
{
    why->reason = reason;
    va_list args;
    va_start(args, format);
    vsnprintf(why->detail, sizeof(why->detail), format, args);
    va_end(args);
    return -1;
}

/* The name is as long as the literal. */
#define IS_LITERAL(name, literal) (memcmp((name).data, literal, sizeof(literal) - 1) == 0)

/* Which known field the name is, or KNOWN_FIELDS. By length first: one compare at most. */
static enum known_field known_of(struct text name)
{
    switch (name.length) {
    case sizeof(FIELD_ID) - 1:
        if (IS_LITERAL(name, FIELD_ID))
            return KNOWN_ID;
        if (IS_LITERAL(name, FIELD_TS))
            return KNOWN_TS;
        return IS_LITERAL(name, FIELD_OP) ? KNOWN_OP : KNOWN_FIELDS;
    case sizeof(FIELD_TENANT) - 1:
        if (IS_LITERAL(name, FIELD_TENANT))
            return KNOWN_TENANT;
        return IS_LITERAL(name, FIELD_METRIC) ? KNOWN_METRIC : KNOWN_FIELDS;
    case sizeof(FIELD_QUANTITY) - 1:
        return IS_LITERAL(name, FIELD_QUANTITY) ? KNOWN_QUANTITY : KNOWN_FIELDS;
    default:
        return KNOWN_FIELDS;
    }
}
_Static_assert(sizeof(FIELD_ID) == sizeof(FIELD_TS) && sizeof(FIELD_ID) == sizeof(FIELD_OP),
               "known_of compares these at one length");
_Static_assert(sizeof(FIELD_TENANT) == sizeof(FIELD_METRIC),
               "known_of compares these at one length");

static int add_known(struct event_fields *f, enum known_field known, struct text name,
                     struct text value, struct reject *why)
{
    if (f->given[known])
        return reject_set(why, REASON_BAD_FIELD, "%.*s: comes twice", (int)name.length, name.data);
    f->given[known] = true;
    f->known[known] = value;
    return 0;
}

/* Keep dimensions sorted: with 16 at most, and mostly few, nothing beats insertion. */
static int insert_dimension(struct event_fields *f, struct text name, struct text value,
                            struct reject *why)
{
    int at = f->dimensions_count;
    int order = 1;
    while (at > 0 && (order = text_compare(name, f->dimensions[at - 1].name)) < 0)
        at--;
    if (order == 0)
        return reject_set(why, REASON_BAD_FIELD, "%.*s: comes twice", (int)name.length, name.data);
    memmove(&f->dimensions[at + 1], &f->dimensions[at],
            (size_t)(f->dimensions_count - at) * sizeof(f->dimensions[0]));
    f->dimensions[at] = (struct dimension){.name = name, .value = value};
    f->dimensions_count++;
    return 0;
}

static int add_dimension(struct event_fields *f, uint32_t number, struct text name,
                         struct text value, struct reject *why)
{
    if (!str_is_name(name.data, name.length))
        return reject_set(why, REASON_BAD_FIELD, "field %u: name is not [a-z0-9_]{1,64}", number);
    if (value.length > DIMENSION_MAX_BYTES)
        return reject_set(why, REASON_TOO_LARGE, "%.*s: %u bytes, at most %d", (int)name.length,
                          name.data, value.length, DIMENSION_MAX_BYTES);
    if (f->dimensions_count == DIMENSIONS_MAX)
        return reject_set(why, REASON_TOO_LARGE, "%.*s: more than %d dimensions", (int)name.length,
                          name.data, DIMENSIONS_MAX);
    return insert_dimension(f, name, value, why);
}

static int add_field(struct event_fields *f, uint32_t number, struct text name, struct text value,
                     struct reject *why)
{
    enum known_field known = known_of(name);
    bool plain = text_is_plain(value);
    if (!plain && !str_is_utf8(value.data, value.length))
        return reject_set(why, REASON_BAD_FIELD, "field %u: value is not UTF-8 without NUL",
                          number);
    if (known != KNOWN_FIELDS)
        return add_known(f, known, name, value, why);
    f->plain &= plain;
    return add_dimension(f, number, name, value, why);
}

int event_fields_collect(const struct entries *entries, uint32_t index, struct event_fields *out,
                         struct reject *why)
{
    const struct text *strings = entries_fields(entries, index);
    uint32_t count = entries->list[index].fields;
    memset(out->given, 0, sizeof(out->given));
    out->dimensions_count = 0;
    out->plain = true;
    for (uint32_t i = 0; i < count; i += 2)
        if (add_field(out, i / 2 + 1, strings[i], strings[i + 1], why) < 0)
            return -1;
    return 0;
}

struct text event_fields_tenant(const struct entries *entries, uint32_t index)
{
    const struct text *strings = entries_fields(entries, index);
    uint32_t count = entries->list[index].fields;
    for (uint32_t i = 0; i < count; i += 2) {
        struct text value = strings[i + 1];
        if (!text_equal(strings[i], TEXT(FIELD_TENANT)))
            continue;
        if (value.length >= 1 && value.length <= TENANT_MAX_BYTES &&
            str_is_utf8(value.data, value.length) && !str_has_control(value.data, value.length))
            return value;
        break;
    }
    return (struct text){0};
}
