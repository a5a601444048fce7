/* Entries that are read again, as after Redis lost its newest ones. The ledger is asked what became
 * of them, by their ids. Only those that it does not know are judged. */
#include "aggregator/batch/batch.h"

#include "aggregator/batch/event_fields.h"
#include "common/contract.h"
#include "common/str.h"

#include <stdio.h>

/* The first entry from low on, and before high, whose id is that one or greater. */
static uint32_t find_from(const struct batch *b, uint32_t low, uint32_t high, struct entry_id id)
{
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (entry_id_compare(entries_id(b->entries, middle), id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t batch_again_count(const struct batch *b)
{
    struct entry_id next = entry_id_next(b->repeats_until);
    if (b->from == b->to || entry_id_compare(entries_id(b->entries, b->from), b->repeats_until) > 0)
        return 0;
    return find_from(b, b->from, b->to, next) - b->from;
}

int64_t batch_find_entry(const struct batch *b, struct entry_id id)
{
    uint32_t at = find_from(b, b->from, b->to, id);
    return at < b->to && entry_id_compare(entries_id(b->entries, at), id) == 0 ? (int64_t)at : -1;
}

static bool is_known_as(const struct event_fields *f, enum known_field field, struct text value)
{
    return f->given[field] && text_equal(f->known[field], value);
}

static bool is_quantity(const struct event_fields *f, struct dec quantity)
{
    struct text given = f->known[KNOWN_QUANTITY];
    struct dec said = dec_from_i64(1);
    if (f->given[KNOWN_QUANTITY] && dec_parse_quantity(given.data, given.length, &said) != 0)
        return false;
    return dec_cmp(said, quantity) == 0;
}

static bool is_time(const struct event_fields *f, int64_t entry_ms, int64_t occurred_ms)
{
    int64_t said = entry_ms;
    if (f->given[KNOWN_TS] &&
        str_to_i64(f->known[KNOWN_TS].data, f->known[KNOWN_TS].length, &said) != 0)
        return false;
    return said == occurred_ms;
}

static bool is_event(struct batch *b, const struct entry *entry, const struct event_fields *f,
                     const struct stored_row *row)
{
    return is_known_as(f, KNOWN_METRIC, row->metric) && is_quantity(f, row->quantity) &&
           is_time(f, (int64_t)entry->ms, row->occurred_ms) &&
           text_equal(
               json_text_object(&b->parser.arena, f->dimensions, f->dimensions_count, f->plain),
               row->fields);
}

/* By its fields alone: that they would be rejected by now, since the catalog changed, say, does not
 * matter. A retraction has the content of what it took back. */
bool batch_is_row(struct batch *b, uint32_t entry, const struct stored_row *row)
{
    struct event_fields f;
    struct reject why;
    if (event_fields_collect(b->entries, entry, &f, &why) != 0)
        return false;
    bool retracts = f.given[KNOWN_OP];
    if (retracts != (row->retracts != 0) || !is_known_as(&f, KNOWN_TENANT, row->tenant) ||
        f.given[KNOWN_ID] == row->by_default ||
        (f.given[KNOWN_ID] && !text_equal(f.known[KNOWN_ID], row->id)))
        return false;
    return retracts || is_event(b, &b->entries->list[entry], &f, row);
}

void batch_note_again(struct batch *b, uint32_t entry)
{
    uint32_t n = b->to - b->from;
    if (b->again_count == 0) {
        if (b->again_capacity < n) {
            b->again_capacity = n;
            b->again = xrealloc(b->again, n * sizeof *b->again);
        }
        memset(b->again, 0, n * sizeof *b->again);
    }
    b->again_count += !b->again[entry - b->from];
    b->again[entry - b->from] = true;
}

bool batch_is_again(const struct batch *b, uint32_t entry)
{
    return b->again_count > 0 && b->again[entry - b->from];
}

static void settle_rejections(struct batch *b)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < b->rejections_count; i++)
        if (!b->again[b->rejections[i].entry - b->from])
            b->rejections[kept++] = b->rejections[i];
    b->rejected -= b->rejections_count - kept;
    b->duplicates += b->rejections_count - kept;
    b->rejections_count = kept;
}

static void settle_items(struct batch *b)
{
    for (uint32_t i = 0; i < b->items_count; i++) {
        struct item *item = &b->items[i];
        item->again = b->again[item->event.index - b->from];
        if (item->again)
            item->fate = FATE_DUPLICATE;
    }
}

/* Retention dropped what would tell whether it was counted or taken back. */
static bool is_counted_forgotten(const struct batch *b, const struct event *event)
{
    struct entry_id id = {.ms = event->ms, .seq = event->seq};
    return event->occurred_ms <= b->dropped_until_ms ||
           (entry_id_tells_time(id) && (int64_t)id.ms <= b->dropped_until_ms);
}

static void reject_forgotten(struct batch *b, struct item *item, const char *why)
{
    struct rejection *r = batch_add_rejection(b, item->event.index, REASON_TOO_OLD);
    r->tenant = item->event.tenant->name;
    snprintf(r->detail, sizeof r->detail, "entry: read again, and retention dropped %s", why);
    item->again = true;
    item->fate = FATE_REJECTED;
    b->rejected++;
}

static void settle_unknown(struct batch *b, struct item *item)
{
    if (item->again)
        return;
    if (is_counted_forgotten(b, &item->event))
        reject_forgotten(b, item, "the raw events of its time: it may have been counted");
    else if ((int64_t)item->event.ms < b->rejects_dropped_until_ms)
        reject_forgotten(b, item, "the rejects of its time: it may have been one of them");
}

void batch_settle_again(struct batch *b)
{
    uint32_t end = b->from + batch_again_count(b);
    if (b->again_count > 0) {
        settle_rejections(b);
        settle_items(b);
    }
    for (uint32_t i = 0; i < b->items_count && b->items[i].event.index < end; i++)
        settle_unknown(b, &b->items[i]);
}
