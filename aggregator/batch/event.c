#include "aggregator/batch/event.h"

#include "aggregator/batch/event_fields.h"
#include "aggregator/batch/event_id.h"
#include "common/str.h"

#include <inttypes.h>

/* 9999-12-31T23:59:59.999Z: what dates can be shown and stored. */
#define ENTRY_MS_MAX 253402300799999ULL

/* fields first, then the event, then why: every rule below has this shape. */
static int take_entry_time(const struct entry *entry, struct event *out, struct reject *why)
{
    out->ms = entry->ms;
    out->seq = entry->seq;
    if (entry->ms > ENTRY_MS_MAX)
        return reject_set(why, REASON_IN_FUTURE, "the entry's own time lies beyond the year 9999");
    return 0;
}

static int take_op(const struct event_fields *f, struct event *out, struct reject *why)
{
    out->retract = f->given[KNOWN_OP];
    if (out->retract && !text_equal(f->known[KNOWN_OP], TEXT("retract")))
        return reject_set(why, REASON_BAD_FIELD, "op: is not retract");
    return 0;
}

static int check_tenant(const struct event_fields *f, struct reject *why)
{
    struct text tenant = f->known[KNOWN_TENANT];
    if (!f->given[KNOWN_TENANT])
        return reject_set(why, REASON_MISSING_FIELD, "tenant: is missing");
    if (tenant.length == 0)
        return reject_set(why, REASON_BAD_FIELD, "tenant: is empty");
    if (tenant.length > TENANT_MAX_BYTES)
        return reject_set(why, REASON_TOO_LARGE, "tenant: %u bytes, at most %d", tenant.length,
                          TENANT_MAX_BYTES);
    if (!text_is_plain(tenant) && str_has_control(tenant.data, tenant.length))
        return reject_set(why, REASON_BAD_FIELD, "tenant: holds a control character");
    return 0;
}

static int take_tenant(struct event_parser *p, const struct event_fields *f, struct event *out,
                       struct reject *why)
{
    if (check_tenant(f, why) < 0)
        return -1;
    out->tenant = tenants_intern(p->tenants, f->known[KNOWN_TENANT]);
    return 0;
}

/* Last of all: whatever is refused for this is good in its own stream, where it is moved to. */
static int check_shard(const struct event_parser *p, const struct event *event, struct reject *why)
{
    int shard = event->tenant->crc16 % p->shards;
    if (shard != p->shard)
        return reject_set(why, REASON_WRONG_SHARD, "tenant: belongs to shard %d of %d, not %d",
                          shard, p->shards, p->shard);
    return 0;
}

static int take_metric(const struct catalog *catalog, const struct event_fields *f,
                       struct event *out, struct reject *why)
{
    struct text metric = f->known[KNOWN_METRIC];
    out->metric = -1;
    if (!f->given[KNOWN_METRIC] && out->retract)
        return 0;
    if (!f->given[KNOWN_METRIC])
        return reject_set(why, REASON_MISSING_FIELD, "metric: is missing");
    out->metric = catalog_find(catalog, metric.data, metric.length);
    if (out->metric < 0 && !str_is_name(metric.data, metric.length))
        return reject_set(why, REASON_BAD_FIELD, "metric: is not [a-z0-9_]{1,64}");
    if (out->retract) /* that of its target holds, which may have left the catalog */
        return 0;
    if (out->metric < 0)
        return reject_set(why, REASON_UNKNOWN_METRIC, "metric: %.*s is not in the catalog",
                          (int)metric.length, metric.data);
    if (catalog->metrics[out->metric].from)
        return reject_set(why, REASON_UNKNOWN_METRIC, "metric: %.*s is derived from another",
                          (int)metric.length, metric.data);
    return 0;
}

static int take_quantity(const struct event_fields *f, struct event *out, struct reject *why)
{
    struct text quantity = f->known[KNOWN_QUANTITY];
    out->quantity = out->retract ? DEC_ZERO : dec_from_i64(1);
    if (!f->given[KNOWN_QUANTITY])
        return 0;
    if (dec_parse_quantity(quantity.data, quantity.length, &out->quantity) < 0)
        return reject_set(
            why, REASON_BAD_QUANTITY,
            "quantity: must be a decimal of up to 18 digits, and up to 9 behind a point");
    return 0;
}

static struct text default_id(struct event_parser *p, const struct entry *entry)
{
    char *start = arena_reserve(&p->arena, p->stream.length + DEFAULT_ID_MORE_BYTES);
    uint32_t length = event_default_id(start, p->stream, entry->ms, entry->seq);
    arena_commit(&p->arena, length);
    return (struct text){.data = start, .length = length};
}

static int take_id(struct event_parser *p, const struct event_fields *f, const struct entry *entry,
                   struct event *out, struct reject *why)
{
    struct text id = f->known[KNOWN_ID];
    if (!f->given[KNOWN_ID] && out->retract)
        return reject_set(why, REASON_MISSING_FIELD, "id: is missing, of the event to retract");
    out->has_id = f->given[KNOWN_ID];
    if (!out->has_id) {
        out->domain = ID_DEFAULT;
        out->id = default_id(p, entry);
        return 0;
    }
    if (id.length == 0)
        return reject_set(why, REASON_BAD_FIELD, "id: is empty");
    if (id.length > EVENT_ID_MAX_BYTES)
        return reject_set(why, REASON_TOO_LARGE, "id: %u bytes, at most %d", id.length,
                          EVENT_ID_MAX_BYTES);
    out->domain = out->retract ? ID_RETRACT : event_id_domain(id);
    out->id = id;
    return 0;
}

/* Then somebody gave this entry or an earlier one an id of their own: its time means nothing. */
static bool is_in_future(const struct event_parser *p, int64_t entry_ms)
{
    return p->now_ms > 0 && entry_ms > p->now_ms + EVENT_ENTRY_FUTURE_MAX_MS;
}

/* Somebody let usage of that time in on purpose, and the entry names it. Rare, so it is looked for
 * only once the entry is too old. */
static bool is_let_in(const struct event_parser *p, const struct event_fields *f,
                      const struct event *e)
{
    static const struct text NAME = {.data = FIELD_BACKFILL, .length = sizeof FIELD_BACKFILL - 1};
    for (int i = 0; i < f->dimensions_count; i++)
        if (text_compare(f->dimensions[i].name, NAME) == 0)
            return catalog_lets_in(p->catalog, f->dimensions[i].value, e->tenant->name,
                                   e->occurred_ms, p->now_ms);
    return false;
}

/* The entry's time has 48 bits, so its neighbourhood fits 64; ts may be any 64. */
static int take_ts(const struct event_parser *p, const struct event_fields *f, struct event *out,
                   struct reject *why)
{
    int64_t entry_ms = (int64_t)out->ms;
    bool in_future = is_in_future(p, entry_ms);
    struct text ts = f->known[KNOWN_TS];
    out->has_ts = f->given[KNOWN_TS];
    out->occurred_ms = entry_ms;
    if (!out->has_ts && in_future)
        return reject_set(why, REASON_IN_FUTURE,
                          "ts: is missing, and the entry's own time, %" PRId64
                          ", is more than a day ahead",
                          entry_ms);
    if (!out->has_ts)
        return 0;
    if (in_future)
        entry_ms = p->now_ms;
    if (str_to_i64(ts.data, ts.length, &out->occurred_ms) < 0)
        return reject_set(why, REASON_BAD_TIMESTAMP, "ts: is not a whole number of milliseconds");
    if (out->occurred_ms < entry_ms - EVENT_AGE_MAX_MS && !is_let_in(p, f, out))
        return reject_set(why, REASON_TOO_OLD,
                          "ts: %" PRId64 ", more than 35 days before the entry", out->occurred_ms);
    if (out->occurred_ms > entry_ms + EVENT_FUTURE_MAX_MS)
        return reject_set(why, REASON_IN_FUTURE,
                          "ts: %" PRId64 ", more than 5 minutes after the entry", out->occurred_ms);
    return 0;
}

/* Where the entry tells no time, its id does not either. */
static void take_id_time(const struct event_parser *p, struct event *out)
{
    int64_t entry_ms = is_in_future(p, (int64_t)out->ms) ? p->now_ms : (int64_t)out->ms;
    out->id_ms = out->domain == ID_DEFAULT ? ID_TIME_NONE : id_time_ms(out->id);
    if (out->id_ms > entry_ms + EVENT_FUTURE_MAX_MS)
        out->id_ms = ID_TIME_NONE;
    out->new_id = out->id_ms >= entry_ms - EVENT_AGE_MAX_MS;
}

static int compare_name(struct text name, const char *other)
{
    return text_compare(name, (struct text){.data = other, .length = (uint32_t)strlen(other)});
}

/* The object of those dimensions that the metric is aggregated by; both lists are sorted. */
static struct text dims_of(struct event_parser *p, const struct event_fields *f,
                           const struct metric_def *metric, struct text all)
{
    struct dimension picked[DIMENSIONS_MAX];
    int count = 0;
    int wanted = 0;
    for (int i = 0; i < f->dimensions_count && wanted < metric->dimensions_count;) {
        int order = compare_name(f->dimensions[i].name, metric->dimensions[wanted]);
        if (order == 0)
            picked[count++] = f->dimensions[i];
        i += order <= 0;
        wanted += order >= 0;
    }
    if (count == f->dimensions_count)
        return all;
    return json_text_object(&p->arena, picked, count, f->plain);
}

static void take_dimensions(struct event_parser *p, const struct event_fields *f, struct event *out)
{
    out->fields_json = json_text_object(&p->arena, f->dimensions, f->dimensions_count, f->plain);
    out->dims_json = TEXT("{}");
    if (out->metric >= 0)
        out->dims_json = dims_of(p, f, &p->catalog->metrics[out->metric], out->fields_json);
}

static int take_all(struct event_parser *p, const struct entries *entries, uint32_t index,
                    struct event *out, struct reject *why)
{
    const struct entry *entry = &entries->list[index];
    out->index = index;
    struct event_fields f;
    if (event_fields_collect(entries, index, &f, why) < 0 || take_entry_time(entry, out, why) < 0 ||
        take_op(&f, out, why) < 0 || take_tenant(p, &f, out, why) < 0 ||
        take_metric(p->catalog, &f, out, why) < 0 || take_quantity(&f, out, why) < 0 ||
        take_id(p, &f, entry, out, why) < 0 || take_ts(p, &f, out, why) < 0 ||
        check_shard(p, out, why) < 0)
        return -1;
    take_id_time(p, out);
    take_dimensions(p, &f, out);
    return 0;
}

int event_parse(struct event_parser *p, const struct entries *entries, uint32_t index,
                struct event *out, struct reject *why)
{
    if (take_all(p, entries, index, out, why) == 0)
        return 0;
    why->tenant = event_fields_tenant(entries, index);
    return -1;
}

static bool has_dimension(const struct event_fields *f, const struct catalog_filter *filter)
{
    for (int i = 0; i < f->dimensions_count; i++)
        if (compare_name(f->dimensions[i].name, filter->name) == 0)
            return compare_name(f->dimensions[i].value, filter->value) == 0;
    return false;
}

bool event_derive(struct event_parser *p, const struct entries *entries, const struct event *event,
                  int metric, struct event *out)
{
    const struct metric_def *derived = &p->catalog->metrics[metric];
    struct event_fields f;
    struct reject never; /* the event was parsed from these fields */
    if (event_fields_collect(entries, event->index, &f, &never) < 0)
        return false;
    for (int i = 0; i < derived->where_count; i++)
        if (!has_dimension(&f, &derived->where[i]))
            return false;
    *out = *event;
    out->metric = metric;
    out->dims_json = dims_of(p, &f, derived, event->fields_json);
    return true;
}

void event_parser_done(struct event_parser *p)
{
    arena_done(&p->arena);
}
