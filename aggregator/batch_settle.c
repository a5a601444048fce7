/* What becomes of each item of a batch, once the ledger has told what it holds. */
#include "aggregator/batch_inside.h"

#include "common/contract.h"

#include <stdio.h>
#include <stdlib.h>

static bool is_same_content(const struct batch *b, const struct event *event,
                            const struct stored_row *row)
{
    const char *metric = b->catalog->metrics[event->metric].name;

    return text_equal((struct text){.data = metric, .length = (uint32_t)strlen(metric)},
                      row->metric) &&
           dec_cmp(event->quantity, row->quantity) == 0 &&
           text_equal(event->fields_json, row->fields);
}

static bool is_same_key(const struct event *event, const struct stored_row *row)
{
    if (row->retracts != 0)
        return false;
    if (event->domain == ID_GIVEN)
        return row->id.data != NULL && text_equal(event->id, row->id);
    return row->id.data == NULL && row->ms == event->ms && row->seq == event->seq;
}

void batch_confirm(struct batch *b, uint32_t number, const struct stored_row *row)
{
    struct item *item = &b->items[number];

    if (!text_equal(item->event.tenant->name, row->tenant))
        return;
    if (item->event.retract)
        retraction_confirm(b, number, row);
    else if (!is_same_key(&item->event, row))
        return;
    else if (is_same_content(b, &item->event, row))
        item->fate = FATE_DUPLICATE;
    else if (item->fate == FATE_NEW && item->event.domain != ID_DEFAULT)
        item->fate = FATE_CONFLICT; /* by default, Redis gave the id again, to another entry */
}

/* The first one may not count: an event before the window has its time of use, and not that of
 * those that follow, and a retraction may come before what it takes back. */
const struct item *batch_counted_first(const struct batch *b, int64_t first)
{
    const struct item *item;

    if (first < 0)
        return NULL;
    item = &b->items[first];
    if (item->fate != FATE_COUNTED && item->first >= 0)
        item = &b->items[item->first];
    return item->fate == FATE_COUNTED ? item : NULL;
}

void batch_take_key(struct batch *b, uint32_t number)
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
static void tally(struct batch *b, const struct event *event)
{
    if (tally_add(&b->tally, event) != 0)
        abort();
}

static void count_item(struct batch *b, uint32_t number)
{
    struct item *item = &b->items[number];
    const struct metric_def *metric = &b->catalog->metrics[item->event.metric];
    int slice = item->event.tenant->slice;
    struct raw_row row = {
        .event = &item->event,
        .metric = {.data = metric->name, .length = (uint32_t)strlen(metric->name)},
        .fields = item->event.fields_json,
        .quantity = item->event.quantity,
        .occurred_ms = item->event.occurred_ms};
    struct event derived;

    item->fate = FATE_COUNTED;
    batch_take_key(b, number);
    b->counted++;
    b->slice_counts[slice]++;
    slice_columns_add(&b->slices[slice], &row);
    tally(b, &item->event);
    for (int i = 0; i < metric->derived_count; i++)
        if (event_derive(&b->parser, b->entries, &item->event, metric->derived[i], &derived))
            tally(b, &derived);
}

static void settle_item(struct batch *b, uint32_t number)
{
    struct item *item = &b->items[number];
    const struct item *first = batch_counted_first(b, item->first);

    if (item->fate == FATE_NEW && first != NULL)
        item->fate = fate_by_event(&item->event, &first->event);
    if (item->fate == FATE_NEW)
        count_item(b, number);
    else if (item->fate == FATE_DUPLICATE)
        b->duplicates++;
    else
        keep_conflict(b, &item->event);
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
        if (b->items[i].event.retract)
            retraction_settle(b, i);
        else
            settle_item(b, i);
    }
    place_items(b);
    tally_sort(&b->tally);
    minute_columns_fill(&b->minutes, b->catalog, &b->tally);
}
