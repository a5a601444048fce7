#include "aggregator/batch.h"

#include "aggregator/event_fields.h"
#include "common/clock.h"
#include "common/contract.h"

#include <stdio.h>
#include <stdlib.h>

enum { PREFETCH_AHEAD = 8, PROBE_MAX = 16, TENANTS_MAX = 200000 };

void batch_init(struct batch *b, const char *stream, int shard, int shards,
                const unsigned char key[16])
{
    *b = (struct batch){.from = 0};
    tenants_init(&b->tenants, key);
    tally_init(&b->tally, key);
    minute_columns_init(&b->minutes);
    for (int i = 0; i < SLICES; i++)
        slice_columns_init(&b->slices[i]);
    b->parser.tenants = &b->tenants;
    b->parser.stream = (struct text){.data = stream, .length = (uint32_t)strlen(stream)};
    b->parser.shard = shard;
    b->parser.shards = shards;
}

void batch_done(struct batch *b)
{
    for (int i = 0; i < SLICES; i++)
        slice_columns_done(&b->slices[i]);
    minute_columns_done(&b->minutes);
    tally_done(&b->tally);
    event_parser_done(&b->parser);
    tenants_done(&b->tenants);
    free(b->items);
    free(b->candidates);
    free(b->rejections);
}

/* Room for one more element of a growing list. */
static void *grow(void *list, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return list;
    *capacity = *capacity == 0 ? 256 : *capacity * 2;
    return xrealloc(list, *capacity * size);
}

static struct rejection *add_rejection(struct batch *b, uint32_t entry, const char *reason)
{
    struct rejection *r;

    b->rejections =
        grow(b->rejections, b->rejections_count, &b->rejections_capacity, sizeof *b->rejections);
    r = &b->rejections[b->rejections_count++];
    *r = (struct rejection){.entry = entry, .reason = reason};
    return r;
}

static void reject_entry(struct batch *b, uint32_t entry, const struct reject *why)
{
    struct rejection *r = add_rejection(b, entry, why->reason);

    r->tenant = why->tenant;
    snprintf(r->detail, sizeof r->detail, "%s", why->detail);
    b->rejected++;
}

/* Retractions are kept, whole, until the aggregator takes them: a replay then applies each once. */
static void reject_retraction(struct batch *b, const struct event *event)
{
    struct reject why = {.reason = REASON_UNKNOWN_RETRACTION, .tenant = event->tenant->name};

    snprintf(why.detail, sizeof why.detail,
             "op retract: not applied by this version; kept for replay");
    reject_entry(b, event->index, &why);
}

/* Without an id of its own an entry can only be a repeat by being read again. */
static bool may_repeat(const struct batch *b, const struct event *event)
{
    struct entry_id id = {.ms = event->ms, .seq = event->seq};

    return event->domain != ID_DEFAULT || entry_id_compare(id, b->repeats_until) <= 0;
}

static void parse_entry(struct batch *b, uint32_t entry)
{
    struct item *item;
    struct reject why;

    b->items = grow(b->items, b->items_count, &b->items_capacity, sizeof *b->items);
    item = &b->items[b->items_count];
    if (event_parse(&b->parser, b->entries, entry, &item->event, &why) != 0) {
        reject_entry(b, entry, &why);
        return;
    }
    if (item->event.retract) {
        reject_retraction(b, &item->event);
        return;
    }
    item->fate = FATE_NEW;
    item->first = -1;
    item->old = item->event.occurred_ms < b->window_start_ms && may_repeat(b, &item->event);
    b->old_count += item->old;
    item->hash =
        dedupe_hash(b->dedupe, item->event.domain, item->event.tenant->name, item->event.id);
    b->items_count++;
}

static bool same_key(const struct event *a, const struct event *b)
{
    return a->domain == b->domain && a->tenant == b->tenant && text_equal(a->id, b->id);
}

static void add_candidate(struct batch *b, uint32_t item, const struct dedupe_hit *hit)
{
    b->candidates =
        grow(b->candidates, b->candidates_count, &b->candidates_capacity, sizeof *b->candidates);
    b->candidates[b->candidates_count++] = (struct candidate){.item = item,
                                                              .day = hit->day,
                                                              .batch = hit->batch_id,
                                                              .slice = hit->slice,
                                                              .row = hit->row};
}

static void take_hits(struct batch *b, uint32_t number, const struct dedupe_hit *hits, int n)
{
    struct item *item = &b->items[number];

    for (int i = 0; i < n; i++) {
        if (!may_repeat(b, &item->event))
            continue;
        if (!hits[i].pending)
            add_candidate(b, number, &hits[i]);
        else if (item->first < 0 && same_key(&b->items[hits[i].number].event, &item->event))
            item->first = hits[i].number;
    }
}

static void probe_item(struct batch *b, uint32_t number)
{
    struct item *item = &b->items[number];
    struct dedupe_hit few[PROBE_MAX];
    int n = dedupe_probe(b->dedupe, &item->hash, few, PROBE_MAX);

    if (n <= PROBE_MAX) {
        take_hits(b, number, few, n);
    } else {
        struct dedupe_hit *many = xcalloc((size_t)n, sizeof *many);

        take_hits(b, number, many, dedupe_probe(b->dedupe, &item->hash, many, n));
        free(many);
    }
    if (item->first < 0)
        dedupe_insert(b->dedupe, &item->hash, number);
}

static void clear_batch(struct batch *b)
{
    b->items_count = b->candidates_count = b->rejections_count = b->old_count = 0;
    b->counted = b->duplicates = b->rejected = b->conflicts = 0;
    memset(b->slice_counts, 0, sizeof b->slice_counts);
    for (int i = 0; i < SLICES; i++)
        slice_columns_clear(&b->slices[i]);
    tally_clear(&b->tally);
    arena_clear(&b->parser.arena);
    tenants_trim(&b->tenants, TENANTS_MAX);
}

void batch_begin(struct batch *b, const struct catalog *catalog, struct dedupe *dedupe,
                 const struct entries *entries, uint32_t from, uint32_t to, int64_t now_ms,
                 const char *refuse)
{
    clear_batch(b);
    /* Making room may shrink the window, so it is asked for afterwards. An event may be used up to
     * 5 minutes after it was counted, and clocks differ a little. */
    dedupe_begin(dedupe, to - from);
    b->window_start_ms =
        now_ms - dedupe_window_ms(dedupe, now_ms) + EVENT_FUTURE_MAX_MS + MINUTE_MS;
    b->catalog = b->parser.catalog = catalog;
    b->parser.now_ms = now_ms;
    b->dedupe = dedupe;
    b->entries = entries;
    b->from = from;
    b->to = to;
    if (refuse != NULL) {
        struct reject why = {.reason = REASON_REFUSED,
                             .tenant = event_fields_tenant(entries, from)};

        snprintf(why.detail, sizeof why.detail, "%s", refuse);
        reject_entry(b, from, &why);
    } else {
        for (uint32_t i = from; i < to; i++)
            parse_entry(b, i);
    }
    for (uint32_t i = 0; i < b->items_count; i++) {
        if (i + PREFETCH_AHEAD < b->items_count)
            dedupe_prefetch(dedupe, &b->items[i + PREFETCH_AHEAD].hash);
        probe_item(b, i);
    }
}

static bool is_same_content(const struct batch *b, const struct event *event,
                            const struct stored_row *row)
{
    const char *metric = b->catalog->metrics[event->metric].name;

    return text_equal((struct text){.data = metric, .length = (uint32_t)strlen(metric)},
                      row->metric) &&
           dec_cmp(event->quantity, row->quantity) == 0 &&
           text_equal(event->fields_json, row->fields);
}

void batch_confirm(struct batch *b, uint32_t number, const struct stored_row *row)
{
    struct item *item = &b->items[number];
    const struct event *event = &item->event;

    if (!text_equal(event->tenant->name, row->tenant))
        return;
    if (event->domain == ID_GIVEN
            ? row->id.data == NULL || !text_equal(event->id, row->id)
            : row->id.data != NULL || row->ms != event->ms || row->seq != event->seq)
        return;
    if (is_same_content(b, event, row))
        item->fate = FATE_DUPLICATE;
    /* Redis gave the id again, to another entry. */
    else if (item->fate == FATE_NEW && event->domain != ID_DEFAULT)
        item->fate = FATE_CONFLICT;
}

static enum fate fate_by_event(const struct event *event, const struct event *counted)
{
    bool same = event->metric == counted->metric &&
                dec_cmp(event->quantity, counted->quantity) == 0 &&
                text_equal(event->fields_json, counted->fields_json);

    return same ? FATE_DUPLICATE : FATE_CONFLICT;
}

/* The same key came earlier in this batch. That one may not count: an event before the window has
 * its time of use, and not this one's. Then this one does, and is what later ones are judged by. */
static enum fate fate_by_first(struct batch *b, uint32_t number)
{
    struct item *item = &b->items[number];
    struct item *first = &b->items[item->first];

    if (first->fate != FATE_COUNTED && first->first >= 0)
        first = &b->items[first->first];
    if (first->fate == FATE_COUNTED)
        return fate_by_event(&item->event, &first->event);
    first->first = number;
    dedupe_insert(b->dedupe, &item->hash, number);
    return FATE_NEW;
}

static void keep_conflict(struct batch *b, const struct event *event)
{
    struct rejection *r = add_rejection(b, event->index, REASON_CONFLICT);

    r->tenant = event->tenant->name;
    snprintf(r->detail, sizeof r->detail,
             "id: counted before with other content; the first stays counted");
    b->conflicts++;
}

static void count_item(struct batch *b, struct item *item)
{
    const struct metric_def *metric = &b->catalog->metrics[item->event.metric];
    struct event derived;

    b->counted++;
    b->slice_counts[item->event.tenant->slice]++;
    slice_columns_add(&b->slices[item->event.tenant->slice], b->catalog, &item->event);
    /* A quantity has at most 18 digits before the point and a batch at most a million events: the
     * sum of 24 digits fits the 29 there are. */
    if (tally_add(&b->tally, &item->event) != 0)
        abort();
    for (int i = 0; i < metric->derived_count; i++)
        if (event_derive(&b->parser, b->entries, &item->event, metric->derived[i], &derived) &&
            tally_add(&b->tally, &derived) != 0)
            abort();
}

/* Rows are numbered through all slices, and keep the order of arrival within one. */
static void place_items(struct batch *b)
{
    uint32_t next[SLICES];
    uint32_t sum = 0;

    for (int i = 0; i < SLICES; i++) {
        next[i] = sum;
        sum += b->slice_counts[i];
    }
    for (uint32_t i = 0; i < b->items_count; i++) {
        struct item *item = &b->items[i];

        if (item->fate == FATE_COUNTED)
            dedupe_place(b->dedupe, &item->hash, i, next[item->event.tenant->slice]++);
    }
}

void batch_settle(struct batch *b)
{
    for (uint32_t i = 0; i < b->items_count; i++) {
        struct item *item = &b->items[i];

        if (item->fate == FATE_NEW && item->first >= 0)
            item->fate = fate_by_first(b, i);
        if (item->fate == FATE_NEW) {
            item->fate = FATE_COUNTED;
            count_item(b, item);
        } else if (item->fate == FATE_DUPLICATE) {
            b->duplicates++;
        } else {
            keep_conflict(b, &item->event);
        }
    }
    place_items(b);
    tally_sort(&b->tally);
    minute_columns_fill(&b->minutes, b->catalog, &b->tally);
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
