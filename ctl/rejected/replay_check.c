/* The aggregator's rules for an entry (see aggregator/batch/event.c), as far as no replay changes
 * what they say, in its order: so that nothing is sent that is a rejected entry more, and no count
 * says that it can be. */
#include "ctl/rejected/replay_check.h"

#include "common/contract.h"
#include "common/dec.h"
#include "common/str.h"

#include <string.h>

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

static struct part find(const struct replay_entry *entry, const char *name)
{
    for (size_t i = 0; i < entry->count; i += 2)
        if (is_text(part_at(entry, i), name))
            return part_at(entry, i + 1);
    return (struct part){0};
}

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

/* Of a retraction that of its target holds, whatever the catalog has now. */
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
