/* Settling a batch: what becomes of each item, once it is known what the ledger holds of it. */
#include "aggregator/batch/batch.h"

#include "aggregator/stream/entries.h"
#include "common/contract.h"

#include <stdio.h>
#include <stdlib.h>

/* Items of one slice lie apart from each other: what is next is fetched early, first the item, then
 * its key's place in the table. */
enum { ITEMS_AHEAD = 16, KEYS_AHEAD = 8 };

static void prefetch_item(const struct item *item)
{
    for (size_t at = 0; at < sizeof *item; at += 64)
        __builtin_prefetch((const char *)item + at);
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
    if (!text_equal(item->event.tenant->name, row->tenant))
        return;
    if (item->event.retract)
        retraction_confirm(b, number, row);
    else if (row->retracts != 0 || !text_equal(item->event.id, row->id))
        return;
    else if (is_same_content(b, &item->event, row))
        item->fate = FATE_DUPLICATE;
    else if (item->fate == FATE_NEW && item->event.has_id)
        item->fate = FATE_CONFLICT; /* by default, Redis gave the id again, to another entry */
}

/* The first one may not count: an event before the window has its time of use, and not that of
 * those that follow, and a retraction may come before what it takes back. */
const struct item *batch_counted_first(const struct batch *b, int64_t first)
{
    if (first < 0)
        return NULL;
    const struct item *item = &b->items[first];
    if (item->fate != FATE_COUNTED && item->first >= 0)
        item = &b->items[item->first];
    return item->fate == FATE_COUNTED ? item : NULL;
}

void batch_own_key(struct batch *b, uint32_t number)
{
    const struct item *item = &b->items[number];
    if (item->first < 0)
        return;
    b->items[item->first].first = number;
    dedupe_insert(b->dedupe, &item->hash, number);
}

static enum fate fate_by_event(const struct event *event, const struct event *counted)
{
    bool same = event->metric == counted->metric &&
                dec_cmp(event->quantity, counted->quantity) == 0 &&
                text_equal(event->fields_json, counted->fields_json);
    return same ? FATE_DUPLICATE : FATE_CONFLICT;
}

static void keep_conflict(struct batch *b, const struct event *event)
{
    struct rejection *r = batch_add_rejection(b, event->index, REASON_CONFLICT);
    r->tenant = event->tenant->name;
    snprintf(r->detail, sizeof r->detail,
             "id: counted before with other content; the first stays counted");
    b->conflicts++;
}

/* A quantity has at most 18 digits before the point and a batch at most a million events: the sum
 * of 24 digits fits the 29 there are. */
static void sum(struct batch *b, const struct event *event)
{
    if (minute_sums_add(&b->sums, event) != 0)
        abort();
}

static void count_item(struct batch *b, uint32_t number)
{
    struct item *item = &b->items[number];
    const struct metric_def *metric = &b->catalog->metrics[item->event.metric];
    struct raw_row row = {
        .event = &item->event,
        .metric = {.data = metric->name, .length = (uint32_t)strlen(metric->name)},
        .fields = item->event.fields_json,
        .quantity = item->event.quantity,
        .occurred_ms = item->event.occurred_ms};
    item->fate = FATE_COUNTED;
    batch_own_key(b, number);
    b->counted++;
    slice_columns_add(&b->slices[item->event.tenant->slice], &row);
    sum(b, &item->event);
    struct event derived;
    for (int i = 0; i < metric->derived_count; i++)
        if (event_derive(&b->parser, b->entries, &item->event, metric->derived[i], &derived))
            sum(b, &derived);
}

/* The ledger keeps which entries were repeats: it has no other trace of them. */
void batch_note_duplicate(struct batch *b, const struct item *item)
{
    b->duplicates++;
    if (!item->again)
        repeat_columns_add(&b->repeats, &item->event, entry_content(b->entries, item->event.index));
}

static void settle_item(struct batch *b, uint32_t number)
{
    struct item *item = &b->items[number];
    const struct item *first = batch_counted_first(b, item->first);
    if (item->fate == FATE_NEW && first)
        item->fate = fate_by_event(&item->event, &first->event);
    if (item->fate == FATE_NEW)
        count_item(b, number);
    else if (item->fate == FATE_DUPLICATE)
        batch_note_duplicate(b, item);
    else
        keep_conflict(b, &item->event);
}

/* Numbers of items by slice: ends[i] is where slice i ends in order. */
static void sort_items(struct batch *b, uint32_t ends[SLICES])
{
    uint32_t sum = 0;
    if (b->order_capacity < b->items_count) {
        b->order_capacity = b->items_capacity;
        b->order = xrealloc(b->order, b->order_capacity * sizeof *b->order);
    }
    memset(ends, 0, SLICES * sizeof *ends);
    for (uint32_t i = 0; i < b->items_count; i++)
        ends[b->items[i].event.tenant->slice]++;
    for (int i = 0; i < SLICES; i++) {
        uint32_t count = ends[i];
        ends[i] = sum;
        sum += count;
    }
    for (uint32_t i = 0; i < b->items_count; i++)
        b->order[ends[b->items[i].event.tenant->slice]++] = i;
}

static void settle_one(struct batch *b, uint32_t number)
{
    if (b->items[number].fate == FATE_REJECTED)
        return; /* before it was looked for: batch_settle_again */
    if (b->items[number].event.retract)
        retraction_settle(b, number);
    else
        settle_item(b, number);
}

/* Rows are numbered through all slices. */
static void settle_slice(struct batch *b, int slice, uint32_t from, uint32_t to,
                         uint32_t rows_before)
{
    struct slice_columns *columns = &b->slices[slice];
    slice_columns_clear(columns);
    for (uint32_t i = from; i < to; i++) {
        const struct item *item = &b->items[b->order[i]];
        if (i + ITEMS_AHEAD < to)
            prefetch_item(&b->items[b->order[i + ITEMS_AHEAD]]);
        if (i + KEYS_AHEAD < to)
            dedupe_prefetch(b->dedupe, &b->items[b->order[i + KEYS_AHEAD]].hash);
        settle_one(b, b->order[i]);
        if (item->fate == FATE_COUNTED)
            dedupe_place(b->dedupe, &item->hash, b->order[i], rows_before + columns->events - 1);
    }
    b->slice_counts[slice] = columns->events;
}

void batch_settle(struct batch *b, batch_slice_fn on_slice, void *owner)
{
    uint32_t ends[SLICES];
    uint32_t from = 0;
    uint32_t rows = 0;
    sort_items(b, ends);
    for (int i = 0; i < SLICES; i++) {
        settle_slice(b, i, from, ends[i], rows);
        from = ends[i];
        rows += b->slice_counts[i];
        on_slice(owner, i);
    }
}
