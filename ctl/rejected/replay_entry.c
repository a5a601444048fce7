#include "ctl/rejected/replay_entry.h"

#include "common/contract.h"
#include "common/dec.h"
#include "common/str.h"
#include "ctl/rejected/quantity_round.h"

#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    const char *text;
} OBSTACLES[REPLAY_OBSTACLES] = {
    [REPLAY_NONE] = {"none", ""},
    [REPLAY_CUT] = {"cut", "only its first 64 KiB were kept: emit it again"},
    [REPLAY_CONFLICT] = {"conflict", "an event with the same id is counted with other content, so "
                                     "it would be a conflict again: emit it with an id of its own"},
    [REPLAY_TOO_OLD] = {"too_old", "used more than 35 days ago: it would be refused again"},
    [REPLAY_IN_FUTURE] = {"in_future", "its ts is more than 5 minutes ahead: it would be refused "
                                       "again"},
    [REPLAY_EMPTY] = {"empty", "none of its fields could be read"},
    [REPLAY_QUANTITY] = {"bad_quantity", "its quantity is no decimal number, or has more than 18 "
                                         "digits before the point: it would be refused again"},
    [REPLAY_UNROUNDED] = {REASON_BAD_QUANTITY, "its quantity would be refused again (--round sets "
                                               "right what has too many decimals, or an exponent)"},
    [REPLAY_MISSING] = {REASON_MISSING_FIELD, "it has no tenant or no metric, or a retraction no "
                                              "id: it would be refused again"},
    [REPLAY_BAD_FIELD] =
        {REASON_BAD_FIELD,
         "a field has a bad name or value (rejected show says which): it would be refused again"},
    [REPLAY_TOO_LARGE] = {REASON_TOO_LARGE, "a field is too long, or there are too many: it would "
                                            "be refused again"},
    [REPLAY_BAD_TIME] = {REASON_BAD_TIMESTAMP, "its ts is no whole number of milliseconds: it "
                                               "would be refused again"},
    [REPLAY_UNKNOWN_METRIC] = {REASON_UNKNOWN_METRIC, "its metric is not in the catalog, or is "
                                                      "derived from another: add it first "
                                                      "(catalog apply)"},
    [REPLAY_DONE] = {"replayed", "was replayed before (--again sends it once more)"},
};

const char *replay_obstacle_name(enum replay_obstacle o)
{
    return OBSTACLES[o].name;
}

const char *replay_obstacle_text(enum replay_obstacle o)
{
    return OBSTACLES[o].text;
}

static void add_part(struct replay_entry *entry, const char *data, size_t length)
{
    entry->parts = xrealloc(entry->parts, (entry->count + 1) * sizeof *entry->parts);
    entry->lengths = xrealloc(entry->lengths, (entry->count + 1) * sizeof *entry->lengths);
    entry->parts[entry->count] = memcpy(xmalloc(length + 1), data, length);
    entry->lengths[entry->count++] = length;
}

static int add_decoded(struct replay_entry *entry, const json_t *base64)
{
    const char *text = json_string_value(base64);
    if (!text)
        return -1;
    size_t size = strlen(text) / 4 * 3 + 1;
    size_t length;
    unsigned char *bytes = xmalloc(size);
    int failed = sodium_base642bin(bytes, size, text, strlen(text), NULL, &length, NULL,
                                   sodium_base64_VARIANT_ORIGINAL);
    if (!failed)
        add_part(entry, (const char *)bytes, length);
    free(bytes);
    return failed;
}

/* A string, or {"base64": …}. Returns 0 or -1. */
static int add_shown(struct replay_entry *entry, const json_t *shown)
{
    if (!json_is_string(shown))
        return add_decoded(entry, json_object_get(shown, "base64"));
    add_part(entry, json_string_value(shown), json_string_length(shown));
    return 0;
}

static enum replay_obstacle add_fields(struct replay_entry *entry, const json_t *fields)
{
    for (size_t i = 0; i < json_array_size(fields); i++) {
        const json_t *field = json_array_get(fields, i);
        if (json_is_object(field))
            return REPLAY_CUT; /* {"truncated_bytes": …} */
        if (json_array_size(field) != 2 || add_shown(entry, json_array_get(field, 0)) ||
            add_shown(entry, json_array_get(field, 1)))
            return REPLAY_EMPTY;
    }
    return entry->count > 0 ? REPLAY_NONE : REPLAY_EMPTY;
}

struct part {
    const char *data; /* NULL: there is no such field */
    size_t length;
};

static struct part part_at(const struct replay_entry *entry, size_t i)
{
    return (struct part){.data = entry->parts[i], .length = entry->lengths[i]};
}

static bool is_text(struct part p, const char *text)
{
    return p.length == strlen(text) && memcmp(p.data, text, p.length) == 0;
}

/* Where the field's value stands in parts; 0: there is none. */
static size_t find_value(const struct replay_entry *entry, const char *name)
{
    for (size_t i = 0; i < entry->count; i += 2)
        if (is_text(part_at(entry, i), name))
            return i + 1;
    return 0;
}

static struct part find(const struct replay_entry *entry, const char *name)
{
    size_t at = find_value(entry, name);
    return at ? part_at(entry, at) : (struct part){0};
}

static void add_named(struct replay_entry *entry, const char *name, const char *value)
{
    add_part(entry, name, strlen(name));
    add_part(entry, value, strlen(value));
}

static void complete(struct replay_entry *entry, const char *stream, const char *stream_id)
{
    char *id = xasprintf("%s/%s", stream, stream_id);
    char *ms = xstrndup(stream_id, strcspn(stream_id, "-"));
    if (find_value(entry, FIELD_TS) == 0)
        add_named(entry, FIELD_TS, ms);
    if (find_value(entry, FIELD_ID) == 0)
        add_named(entry, FIELD_ID, id);
    free(id);
    free(ms);
}

/* A ts that cannot be parsed is refused as such, not for its age. */
static enum replay_obstacle check_time(const struct replay_entry *entry, int64_t now_ms)
{
    struct part text = find(entry, FIELD_TS);
    int64_t ts;
    if (!text.data || str_to_i64(text.data, text.length, &ts))
        return REPLAY_NONE;
    if (ts < now_ms - EVENT_AGE_MAX_MS)
        return REPLAY_TOO_OLD;
    return ts > now_ms + EVENT_FUTURE_MAX_MS ? REPLAY_IN_FUTURE : REPLAY_NONE;
}

enum replay_obstacle replay_entry_build(const char *fields, const char *stream,
                                        const char *stream_id, int64_t now_ms,
                                        struct replay_entry *out)
{
    json_t *list = json_loads(fields, JSON_ALLOW_NUL, NULL);
    *out = (struct replay_entry){0};
    enum replay_obstacle obstacle = add_fields(out, list);
    json_decref(list);
    if (obstacle != REPLAY_NONE)
        return obstacle;
    if (find_value(out, FIELD_OP) == 0)
        complete(out, stream, stream_id);
    struct part tenant = find(out, FIELD_TENANT);
    out->tenant = tenant.data;
    out->tenant_length = tenant.length;
    return check_time(out, now_ms);
}

enum replay_obstacle replay_entry_round(struct replay_entry *entry, int decimals, bool *rounded)
{
    size_t at = find_value(entry, FIELD_QUANTITY);
    char text[QUANTITY_TEXT_SIZE];
    struct dec ignored;
    *rounded = false;
    if (at == 0 || dec_parse_quantity(entry->parts[at], entry->lengths[at], &ignored) == 0)
        return REPLAY_NONE;
    if (quantity_round(entry->parts[at], entry->lengths[at], decimals, text))
        return REPLAY_QUANTITY;
    free(entry->parts[at]);
    entry->parts[at] = xstrdup(text);
    entry->lengths[at] = strlen(text);
    *rounded = true;
    return REPLAY_NONE;
}

void replay_entry_done(struct replay_entry *entry)
{
    for (size_t i = 0; i < entry->count; i++)
        free(entry->parts[i]);
    free(entry->parts);
    free(entry->lengths);
    *entry = (struct replay_entry){0};
}

/* The aggregator's rules for an entry (see aggregator/batch/event.c), as far as no replay changes
 * what they say, in its order: so that nothing is sent that would be a rejected entry again, and no
 * count says that it can be. */

static bool is_known(struct part name)
{
    static const char *const KNOWN[] = {FIELD_TENANT, FIELD_METRIC, FIELD_QUANTITY,
                                        FIELD_ID,     FIELD_TS,     FIELD_OP};
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (is_text(name, KNOWN[i]))
            return true;
    return false;
}

static bool stands_before(const struct replay_entry *entry, size_t at)
{
    for (size_t i = 0; i < at; i += 2)
        if (entry->lengths[i] == entry->lengths[at] &&
            memcmp(entry->parts[i], entry->parts[at], entry->lengths[at]) == 0)
            return true;
    return false;
}

static enum replay_obstacle check_fields(const struct replay_entry *entry)
{
    int dimensions = 0;
    for (size_t i = 0; i < entry->count; i += 2) {
        struct part name = part_at(entry, i);
        struct part value = part_at(entry, i + 1);
        if (!str_is_utf8(value.data, value.length) || stands_before(entry, i))
            return REPLAY_BAD_FIELD;
        if (is_known(name))
            continue;
        if (!str_is_name(name.data, name.length))
            return REPLAY_BAD_FIELD;
        if (value.length > DIMENSION_MAX_BYTES || ++dimensions > DIMENSIONS_MAX)
            return REPLAY_TOO_LARGE;
    }
    return REPLAY_NONE;
}

static enum replay_obstacle check_tenant(struct part tenant)
{
    if (!tenant.data)
        return REPLAY_MISSING;
    if (tenant.length > TENANT_MAX_BYTES)
        return REPLAY_TOO_LARGE;
    bool is_fit = tenant.length > 0 && !str_has_control(tenant.data, tenant.length);
    return is_fit ? REPLAY_NONE : REPLAY_BAD_FIELD;
}

/* A retraction has its target's metric, whatever the catalog has now. */
static enum replay_obstacle check_metric(struct part metric, bool retracts,
                                         replay_metric_fn is_metric, const void *metrics)
{
    if (!metric.data)
        return retracts ? REPLAY_NONE : REPLAY_MISSING;
    if (!str_is_name(metric.data, metric.length))
        return REPLAY_BAD_FIELD;
    return retracts || is_metric(metrics, metric.data, metric.length) ? REPLAY_NONE
                                                                      : REPLAY_UNKNOWN_METRIC;
}

static enum replay_obstacle check_quantity(struct part quantity)
{
    struct dec ignored;
    if (quantity.data && dec_parse_quantity(quantity.data, quantity.length, &ignored) != 0)
        return REPLAY_UNROUNDED;
    return REPLAY_NONE;
}

static enum replay_obstacle check_id(struct part id)
{
    if (!id.data)
        return REPLAY_MISSING; /* of a retraction: all others have got one */
    if (id.length > EVENT_ID_MAX_BYTES)
        return REPLAY_TOO_LARGE;
    return id.length > 0 ? REPLAY_NONE : REPLAY_BAD_FIELD;
}

static enum replay_obstacle check_ts(struct part ts)
{
    int64_t ignored;
    return ts.data && str_to_i64(ts.data, ts.length, &ignored) ? REPLAY_BAD_TIME : REPLAY_NONE;
}

enum replay_obstacle replay_check(const struct replay_entry *entry, replay_metric_fn is_metric,
                                  const void *metrics)
{
    struct part op = find(entry, FIELD_OP);
    enum replay_obstacle obstacle = check_fields(entry);
    if (obstacle == REPLAY_NONE && op.data && !is_text(op, "retract"))
        obstacle = REPLAY_BAD_FIELD;
    if (obstacle == REPLAY_NONE)
        obstacle = check_tenant(find(entry, FIELD_TENANT));
    if (obstacle == REPLAY_NONE)
        obstacle = check_metric(find(entry, FIELD_METRIC), op.data, is_metric, metrics);
    if (obstacle == REPLAY_NONE)
        obstacle = check_quantity(find(entry, FIELD_QUANTITY));
    if (obstacle == REPLAY_NONE)
        obstacle = check_id(find(entry, FIELD_ID));
    return obstacle == REPLAY_NONE ? check_ts(find(entry, FIELD_TS)) : obstacle;
}
