/* Retractions: what each takes back, and that it does so once.
 *
 * The target is found by its id, given or by default, among what was counted within the window and
 * earlier in this batch. An older one is found if ts gives its time of use, or if its id tells when
 * it was made. The retraction becomes a raw row of its own, with the target's content and the
 * quantity negated. The target's minute is counted anew; nothing goes into the batch's sums. */
#include "aggregator/batch/batch.h"

#include "aggregator/batch/event_id.h"
#include "common/clock.h"
#include "common/contract.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void retraction_open(struct batch *b, struct item *item)
{
    const struct event *event = &item->event;
    b->retractions = batch_grow(b->retractions, b->retractions_count, &b->retractions_capacity,
                                sizeof *b->retractions);
    item->retraction = b->retractions_count++;
    struct retraction *r = &b->retractions[item->retraction];
    *r = (struct retraction){.first = -1, .domain = event_id_domain(event->id)};
    r->target = dedupe_hash(b->dedupe, r->domain, event->tenant->name, event->id);
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
                       .by_default = row->by_default,
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
    if (!text_equal(row->id, item->event.id))
        return;
    if (row->retracts != 0)
        item->fate = FATE_DUPLICATE;
    else if (is_meant(item, row->occurred_ms))
        note_target(b, &b->retractions[item->retraction], row);
}

static struct target target_of(const struct batch *b, const struct event *event)
{
    const char *metric = b->catalog->metrics[event->metric].name;
    return (struct target){.found = true,
                           .by_default = !event->has_id,
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
    const struct item *first = batch_counted_first(b, r->first);
    if (!first || !is_meant(item, first->event.occurred_ms))
        return r->stored;
    struct target t = target_of(b, &first->event);
    return is_better(&t, &r->stored) ? t : r->stored;
}

static void reject(struct batch *b, struct item *item, const struct target *target)
{
    const struct event *event = &item->event;
    struct rejection *r = batch_add_rejection(b, event->index, REASON_UNKNOWN_RETRACTION);
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
    else if (item->id_old)
        snprintf(r->detail, sizeof r->detail, "id: no event that counted has this tenant and id");
    else
        snprintf(r->detail, sizeof r->detail,
                 "id: no event that counted in the last %" PRId64
                 " s has this tenant and id; for an older one give its ts",
                 dedupe_window_ms(b->dedupe) / 1000);
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
    batch_own_key(b, number);
    b->counted++;
    slice_columns_add(&b->slices[item->event.tenant->slice], &row);
    recount_columns_add(&b->recounts, &row);
}

void retraction_settle(struct batch *b, uint32_t number)
{
    struct item *item = &b->items[number];
    if (item->fate == FATE_NEW && batch_counted_first(b, item->first))
        item->fate = FATE_DUPLICATE;
    if (item->fate == FATE_DUPLICATE) {
        batch_note_duplicate(b, item);
        return;
    }
    struct target target = find_target(b, item);
    if (target.found && clock_minute_of(target.occurred_ms) > b->dropped_until_ms)
        count(b, number, &target);
    else
        reject(b, item, &target);
}
