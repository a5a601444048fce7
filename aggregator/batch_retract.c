/* Retractions: what each takes back, and that it does so once.
 *
 * Its target is known by the id, given or by default, among what was counted within the window and
 * earlier in this batch; one that is older by its time of use too, which ts tells. It becomes a raw
 * row of its own, with its target's content and the quantity negated, and has the target's minute
 * counted anew: nothing of it is in the batch's minute sums. */
#include "aggregator/batch_inside.h"

#include "aggregator/entry_id.h"
#include "common/clock.h"
#include "common/contract.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Does the id read "<stream>/<ms>-<seq>", just as it would have been made? */
static bool reads_as_entry(const struct text stream, struct text id, struct entry_id *entry)
{
    char text[ENTRY_ID_TEXT_SIZE];
    char again[ENTRY_ID_TEXT_SIZE];
    uint32_t length = id.length - stream.length - 1;

    if (id.length <= stream.length + 1 || length >= sizeof text ||
        memcmp(id.data, stream.data, stream.length) != 0 || id.data[stream.length] != '/')
        return false;
    memcpy(text, id.data + stream.length + 1, length);
    text[length] = '\0';
    if (entry_id_parse(text, entry) != 0)
        return false;
    entry_id_format(*entry, again);
    return strcmp(text, again) == 0;
}

void retraction_open(struct batch *b, struct item *item)
{
    const struct event *event = &item->event;
    struct retraction *r;
    struct entry_id entry;

    b->retractions = batch_grow(b->retractions, b->retractions_count, &b->retractions_capacity,
                                sizeof *b->retractions);
    item->retraction = b->retractions_count++;
    r = &b->retractions[item->retraction];
    *r = (struct retraction){.first_given = -1, .first_default = -1};
    r->given = dedupe_hash(b->dedupe, ID_GIVEN, event->tenant->name, event->id);
    r->names_entry = reads_as_entry(b->parser.stream, event->id, &entry);
    if (r->names_entry) {
        r->entry_ms = entry.ms;
        r->entry_seq = entry.seq;
        r->by_default = dedupe_hash(b->dedupe, ID_DEFAULT, event->tenant->name, event->id);
    }
}

/* A ts before the window tells which event of that id is meant; any other says nothing. */
static bool is_meant(const struct item *item, int64_t occurred_ms)
{
    return !item->old || item->event.occurred_ms == occurred_ms;
}

/* An id that was given goes before one by default; of several the newest. */
static bool is_better(const struct target *a, const struct target *b)
{
    if (!b->found || a->by_default != b->by_default)
        return !b->found || b->by_default;
    return a->ms > b->ms || (a->ms == b->ms && a->seq > b->seq);
}

static void note_target(struct batch *b, struct retraction *r, const struct stored_row *row)
{
    struct target t = {.found = true,
                       .by_default = row->id.data == NULL,
                       .quantity = row->quantity,
                       .occurred_ms = row->occurred_ms,
                       .ms = row->ms,
                       .seq = row->seq};

    if (!is_better(&t, &r->stored))
        return;
    t.metric = arena_copy(&b->parser.arena, row->metric.data, row->metric.length);
    t.fields = arena_copy(&b->parser.arena, row->fields.data, row->fields.length);
    r->stored = t;
}

void retraction_confirm(struct batch *b, uint32_t number, const struct stored_row *row)
{
    struct item *item = &b->items[number];
    struct retraction *r = &b->retractions[item->retraction];
    bool same_id = row->id.data != NULL && text_equal(row->id, item->event.id);
    bool same_entry = row->id.data == NULL && r->names_entry && row->ms == r->entry_ms &&
                      row->seq == r->entry_seq;

    if (row->retracts != 0) {
        if (same_id)
            item->fate = FATE_DUPLICATE;
    } else if ((same_id || same_entry) && is_meant(item, row->occurred_ms)) {
        note_target(b, r, row);
    }
}

static struct target target_of(const struct batch *b, const struct event *event)
{
    const char *metric = b->catalog->metrics[event->metric].name;

    return (struct target){.found = true,
                           .by_default = event->domain == ID_DEFAULT,
                           .metric = {.data = metric, .length = (uint32_t)strlen(metric)},
                           .fields = event->fields_json,
                           .quantity = event->quantity,
                           .occurred_ms = event->occurred_ms,
                           .ms = event->ms,
                           .seq = event->seq};
}

static struct target find_target(const struct batch *b, const struct item *item)
{
    const struct retraction *r = &b->retractions[item->retraction];
    const int64_t firsts[] = {r->first_given, r->first_default};
    struct target best = r->stored;

    for (int i = 0; i < 2; i++) {
        const struct item *first = batch_counted_first(b, firsts[i]);
        struct target t;

        if (first == NULL || !is_meant(item, first->event.occurred_ms))
            continue;
        t = target_of(b, &first->event);
        if (is_better(&t, &best))
            best = t;
    }
    return best;
}

static bool can_recount(const struct batch *b, const struct target *target)
{
    return clock_minute_of(target->occurred_ms) > b->dropped_until_ms;
}

static void reject(struct batch *b, struct item *item, const struct target *target)
{
    const struct event *event = &item->event;
    struct rejection *r = batch_add_rejection(b, event->index, REASON_UNKNOWN_RETRACTION);
    int64_t window_ms = b->now_ms - (b->window_start_ms - EVENT_FUTURE_MAX_MS - MINUTE_MS);

    r->tenant = event->tenant->name;
    item->fate = FATE_REJECTED;
    b->rejected++;
    if (target->found)
        snprintf(
            r->detail, sizeof r->detail,
            "id: raw events of its minute were dropped by retention: it cannot be counted anew");
    else if (item->old)
        snprintf(r->detail, sizeof r->detail,
                 "id: no event that counted has this tenant, id and ts %" PRId64,
                 event->occurred_ms);
    else
        snprintf(r->detail, sizeof r->detail,
                 "id: no event that counted in the last %" PRId64
                 " s has this tenant and id; for an older one give its ts",
                 window_ms / 1000);
}

static void count(struct batch *b, uint32_t number, const struct target *target)
{
    struct item *item = &b->items[number];
    struct raw_row row = {.event = &item->event,
                          .metric = target->metric,
                          .fields = target->fields,
                          .occurred_ms = target->occurred_ms,
                          .retracts = target->by_default ? RETRACTS_DEFAULT : RETRACTS_GIVEN};

    if (dec_neg(target->quantity, &row.quantity) != 0)
        abort(); /* it was a quantity: far within the bounds */
    item->fate = FATE_COUNTED;
    batch_take_key(b, number);
    b->counted++;
    slice_columns_add(&b->slices[item->event.tenant->slice], &row);
    recount_columns_add(&b->recounts, &row);
}

void retraction_settle(struct batch *b, uint32_t number)
{
    struct item *item = &b->items[number];
    struct target target;

    if (item->fate == FATE_NEW && batch_counted_first(b, item->first) != NULL)
        item->fate = FATE_DUPLICATE;
    if (item->fate == FATE_DUPLICATE) {
        b->duplicates++;
        return;
    }
    target = find_target(b, item);
    if (target.found && can_recount(b, &target))
        count(b, number, &target);
    else
        reject(b, item, &target);
}
