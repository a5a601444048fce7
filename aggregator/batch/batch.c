#include "aggregator/batch/batch.h"

#include "aggregator/batch/event_fields.h"
#include "aggregator/batch/event_id.h"
#include "common/contract.h"

#include <stdio.h>
#include <stdlib.h>

enum { TENANTS_MAX = 200000, PREFETCH_AHEAD = 8, PROBE_MAX = 16 };

void batch_init(struct batch *b, const char *stream, int shard, int shards,
                const unsigned char key[16])
{
    *b = (struct batch){.from = 0};
    tenants_init(&b->tenants, key);
    minute_sums_init(&b->sums, key);
    recount_columns_init(&b->recounts);
    repeat_columns_init(&b->repeats);
    for (int i = 0; i < SLICES; i++)
        slice_columns_init(&b->slices[i]);
    b->parser.tenants = &b->tenants;
    b->parser.stream = (struct text){.data = stream, .length = (uint32_t)strlen(stream)};
    b->parser.shard = shard;
    b->parser.shards = shards;
    b->dropped_until_ms = b->rejects_dropped_until_ms = INT64_MIN;
}

void batch_done(struct batch *b)
{
    for (int i = 0; i < SLICES; i++)
        slice_columns_done(&b->slices[i]);
    columns_done(&b->recounts);
    columns_done(&b->repeats);
    minute_sums_done(&b->sums);
    event_parser_done(&b->parser);
    tenants_done(&b->tenants);
    free(b->items);
    free(b->again);
    free(b->order);
    free(b->retractions);
    free(b->candidates);
    free(b->rejections);
}

void *batch_grow(void *list, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return list;
    *capacity = *capacity == 0 ? 256 : *capacity * 2;
    return xrealloc(list, *capacity * size);
}

bool batch_waits(const struct batch *b)
{
    return b->sums.count > 0 || b->recounts.count > 0;
}

struct rejection *batch_add_rejection(struct batch *b, uint32_t entry, const char *reason)
{
    b->rejections = batch_grow(b->rejections, b->rejections_count, &b->rejections_capacity,
                               sizeof *b->rejections);
    struct rejection *r = &b->rejections[b->rejections_count++];
    *r = (struct rejection){.entry = entry, .reason = reason};
    return r;
}

static void reject_entry(struct batch *b, uint32_t entry, const struct reject *why)
{
    struct rejection *r = batch_add_rejection(b, entry, why->reason);
    r->tenant = why->tenant;
    snprintf(r->detail, sizeof r->detail, "%s", why->detail);
    b->rejected++;
}

static void parse_entry(struct batch *b, uint32_t entry)
{
    b->items = batch_grow(b->items, b->items_count, &b->items_capacity, sizeof *b->items);
    struct item *item = &b->items[b->items_count];
    struct reject why;
    if (event_parse(&b->parser, b->entries, entry, &item->event, &why) != 0) {
        reject_entry(b, entry, &why);
        return;
    }
    item->fate = FATE_NEW;
    item->first = -1;
    item->old = item->id_old = item->again = false;
    item->hash =
        dedupe_hash(b->dedupe, item->event.domain, item->event.tenant->name, item->event.id);
    if (item->event.retract)
        retraction_open(b, item);
    b->items_count++;
}

static void clear_batch(struct batch *b)
{
    b->items_count = b->retractions_count = 0;
    b->candidates_count = b->rejections_count = b->old_count = b->again_count = 0;
    b->counted = b->duplicates = b->rejected = b->conflicts = 0;
    memset(b->slice_counts, 0, sizeof b->slice_counts);
    columns_clear(&b->recounts);
    columns_clear(&b->repeats);
    minute_sums_clear(&b->sums);
    arena_clear(&b->parser.arena);
    tenants_trim(&b->tenants, TENANTS_MAX);
}

void batch_parse(struct batch *b, const struct catalog *catalog, struct dedupe *dedupe,
                 const struct entries *entries, uint32_t from, uint32_t to, const char *refuse)
{
    clear_batch(b);
    b->catalog = b->parser.catalog = catalog;
    b->dedupe = dedupe;
    b->entries = entries;
    b->clears = entries->clears;
    b->from = b->to = from;
    if (!refuse) {
        batch_parse_more(b, to);
        return;
    }
    struct reject why = {.reason = REASON_REFUSED, .tenant = event_fields_tenant(entries, from)};
    snprintf(why.detail, sizeof why.detail, "%s", refuse);
    reject_entry(b, from, &why);
    b->to = to;
}

void batch_parse_more(struct batch *b, uint32_t to)
{
    for (; b->to < to; b->to++)
        parse_entry(b, b->to);
}

/* Which keys of a batch are known, in the batch itself and in the table. */

static void add_candidate(struct batch *b, uint32_t item, const struct dedupe_hit *hit)
{
    b->candidates = batch_grow(b->candidates, b->candidates_count, &b->candidates_capacity,
                               sizeof *b->candidates);
    b->candidates[b->candidates_count++] = (struct candidate){.item = item,
                                                              .day = hit->day,
                                                              .batch = hit->batch_id,
                                                              .slice = hit->slice,
                                                              .row = hit->row};
}

/* Without an id of its own an entry can only be a repeat by being read again. */
static bool may_repeat(const struct batch *b, const struct event *event)
{
    struct entry_id id = {.ms = event->ms, .seq = event->seq};
    return event->has_id || entry_id_compare(id, b->repeats_until) <= 0;
}

/* Stored rows with that hash are candidates. Returns the first item of this batch with the key. */
static int64_t take_hits(struct batch *b, uint32_t number, enum id_domain domain,
                         const struct dedupe_hit *hits, int n)
{
    const struct event *event = &b->items[number].event;
    int64_t first = -1;
    for (int i = 0; i < n; i++) {
        if (!hits[i].pending) {
            add_candidate(b, number, &hits[i]);
            continue;
        }
        const struct event *other = &b->items[hits[i].number].event;
        if (other->domain == domain && other->tenant == event->tenant &&
            text_equal(other->id, event->id))
            first = hits[i].number;
    }
    return first;
}

static int64_t probe_key(struct batch *b, uint32_t number, enum id_domain domain,
                         const struct dedupe_hash *hash)
{
    struct dedupe_hit few[PROBE_MAX];
    int n = dedupe_probe(b->dedupe, hash, few, PROBE_MAX);
    if (n <= PROBE_MAX)
        return take_hits(b, number, domain, few, n);
    struct dedupe_hit *many = xcalloc((size_t)n, sizeof *many);
    dedupe_probe(b->dedupe, hash, many, n);
    int64_t first = take_hits(b, number, domain, many, n);
    free(many);
    return first;
}

static void probe_item(struct batch *b, uint32_t number)
{
    struct item *item = &b->items[number];
    if (item->again)
        return;
    if (may_repeat(b, &item->event))
        item->first = probe_key(b, number, item->event.domain, &item->hash);
    if (item->event.retract) {
        struct retraction *r = &b->retractions[item->retraction];
        r->first = probe_key(b, number, r->domain, &r->target);
    }
    if (item->first < 0)
        dedupe_insert(b->dedupe, &item->hash, number);
}

/* A retraction says with ts that its event is old; without ts it does not know. Nor does an event
 * without ts whose entry tells no time. */
static bool is_old(const struct batch *b, const struct event *event)
{
    return event->occurred_ms < b->window_start_ms && may_repeat(b, event) &&
           (event->has_ts || (!event->retract && event->ms >= ENTRY_TIME_MIN_MS));
}

/* Whatever has this id was made before the window, and may have been counted there: at whatever
 * time of use. */
static bool is_id_old(const struct batch *b, const struct event *event)
{
    return event->id_ms != ID_TIME_NONE && event->id_ms < b->window_start_ms;
}

/* Making room may shrink the window, so this comes after all keys were inserted. An event may be
 * used, and its id be made, up to 5 minutes after its entry was added. */
static void find_old(struct batch *b, int64_t reading_ms)
{
    b->known_since_ms = reading_ms - dedupe_window_ms(b->dedupe);
    b->window_start_ms = b->known_since_ms + EVENT_FUTURE_MAX_MS;
    for (uint32_t i = 0; i < b->items_count; i++) {
        struct item *item = &b->items[i];
        item->old = !item->again && is_old(b, &item->event);
        item->id_old = !item->again && is_id_old(b, &item->event);
        b->old_count += item->old || item->id_old;
    }
}

void batch_probe(struct batch *b, int64_t now_ms)
{
    int64_t reading_ms = entry_id_time_ms(entries_id(b->entries, b->from), now_ms);
    b->now_ms = now_ms;
    dedupe_read_from(b->dedupe, reading_ms);
    dedupe_begin(b->dedupe, b->to - b->from);
    for (uint32_t i = 0; i < b->items_count; i++) {
        if (i + PREFETCH_AHEAD < b->items_count)
            dedupe_prefetch(b->dedupe, &b->items[i + PREFETCH_AHEAD].hash);
        probe_item(b, i);
    }
    find_old(b, reading_ms);
}

void batch_commit(struct batch *b, struct dedupe_batch *stored)
{
    memcpy(stored->slice_counts, b->slice_counts, sizeof stored->slice_counts);
    dedupe_commit(b->dedupe, stored);
}

void batch_abort(struct batch *b)
{
    dedupe_abort(b->dedupe);
}
