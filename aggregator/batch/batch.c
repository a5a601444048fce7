#include "aggregator/batch/batch_inside.h"

#include "aggregator/batch/event_fields.h"
#include "common/clock.h"
#include "common/contract.h"

#include <stdio.h>
#include <stdlib.h>

enum { TENANTS_MAX = 200000 };

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
    recount_columns_done(&b->recounts);
    repeat_columns_done(&b->repeats);
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
    struct rejection *r;

    b->rejections = batch_grow(b->rejections, b->rejections_count, &b->rejections_capacity,
                               sizeof *b->rejections);
    r = &b->rejections[b->rejections_count++];
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

static void refuse_entry(struct batch *b, uint32_t entry, const char *words)
{
    struct reject why = {.reason = REASON_REFUSED,
                         .tenant = event_fields_tenant(b->entries, entry)};

    snprintf(why.detail, sizeof why.detail, "%s", words);
    reject_entry(b, entry, &why);
}

static void parse_entry(struct batch *b, uint32_t entry)
{
    struct item *item;
    struct reject why;

    b->items = batch_grow(b->items, b->items_count, &b->items_capacity, sizeof *b->items);
    item = &b->items[b->items_count];
    if (event_parse(&b->parser, b->entries, entry, &item->event, &why) != 0) {
        reject_entry(b, entry, &why);
        return;
    }
    item->fate = FATE_NEW;
    item->first = -1;
    item->old = item->told = item->again = false;
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
    recount_columns_clear(&b->recounts);
    repeat_columns_clear(&b->repeats);
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
    if (refuse == NULL) {
        batch_parse_more(b, to);
        return;
    }
    refuse_entry(b, from, refuse);
    b->to = to;
}

void batch_parse_more(struct batch *b, uint32_t to)
{
    for (; b->to < to; b->to++)
        parse_entry(b, b->to);
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
