#include "webhookd/work/event_item.h"

#include "common/stripe/objects/facts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void event_item_end(struct event_item *item, enum outcome outcome, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)!vsnprintf(item->why, sizeof item->why, format, args);
    va_end(args);
    item->outcome = outcome;
}

/* Of a connected account, which is another business than ours. */
static const char *other_account(const struct stripe_event *event)
{
    const char *account = stripe_text(event->root, "account");
    return account && *account ? account : stripe_text(event->root, "context");
}

static void open_event(struct event_item *item, bool live)
{
    struct err e;
    const struct stripe_event *event = &item->event;
    const char *account = other_account(event);
    item->kind = object_kind_of(event->type);
    item->is_report = meter_report_is(event->type);
    if (event->livemode != live) {
        event_item_end(item, OUTCOME_IGNORED, "a %s event, but STRIPE_LIVE=%d",
                       live ? "test" : "live", live);
    } else if (account && *account) {
        event_item_end(item, OUTCOME_IGNORED, "an event of another account, %.100s", account);
    } else if (item->is_report) {
        if (meter_report_parse(event->root, &item->report) == 0)
            item->outcome = OUTCOME_PROCESSED;
    } else if (!item->kind || !(event->object || event->object_id) ||
               (!event->object_id && !item->kind->is_note)) {
        event_item_end(item, OUTCOME_IGNORED, "this type of event has no effect in meterline");
    } else if (event->object) {
        item->observation = observe_event(item->kind, event, &e);
        if (!item->observation)
            event_item_end(item, OUTCOME_FAILED, "%s", e.text);
    }
}

void event_item_open(struct event_item *item, const char *id, const char *type, const char *payload,
                     bool live)
{
    struct err e;
    item->same_as = -1;
    if (stripe_event_parse(payload ? payload : "", payload ? strlen(payload) : 0, &item->event,
                           &e) == 0) {
        open_event(item, live);
        return;
    }
    /* It was parsed before it was stored: somebody has changed the row. */
    item->event.root = json_pack("{s:s, s:s}", "id", id, "type", type);
    item->event.id = stripe_text(item->event.root, "id");
    item->event.type = stripe_text(item->event.root, "type");
    event_item_end(item, OUTCOME_FAILED, "the stored payload is not a Stripe event: %.100s",
                   e.text);
}

const char *event_item_customer(const struct event_item *item)
{
    if (item->kind == &CUSTOMER_KIND)
        return NULL; /* it is the object itself */
    const char *id = stripe_reference(item->fetched, "customer");
    if (!id)
        id = stripe_text(item->observation, "customer");
    return stripe_is_id(id) ? id : NULL;
}

static const char *outcome_name(enum outcome outcome)
{
    return outcome == OUTCOME_PROCESSED ? "processed"
           : outcome == OUTCOME_FAILED  ? "failed"
                                        : "ignored";
}

static void add_ended(const struct event_item *item, json_t *batch)
{
    json_array_append_new(batch, json_pack("{s:s, s:s, s:s?}", "event", item->event.id, "outcome",
                                           outcome_name(item->outcome), "why",
                                           item->why[0] ? item->why : NULL));
}

/* Pages of items that were left out belong to the object. */
static void merge_items(struct event_item *item)
{
    json_t *list = json_object_get(item->fetched, "items");
    if (!item->more_items || !json_is_object(list))
        return;
    json_array_extend(json_object_get(list, "data"), item->more_items);
    json_object_set_new(list, "has_more", json_false());
}

/* A thin event says only that something happened to an object. That is a line of the history. */
static json_t *note_thin(const struct event_item *item, const json_t *fetched)
{
    const struct stripe_event *event = &item->event;
    const json_t *facts = json_object_get(fetched, "facts");
    return json_pack(
        "{s:s, s:s, s:I, s:s, s:s, s:s, s:O, s:b, s:b, s:i, s:s, s:s, s:{s:s}, s:{s:{}, s:O}}",
        "event", event->id, "type", event->type + (strncmp(event->type, "v1.", 3) ? 0 : 3),
        "created", (json_int_t)event->created_s, "kind", "note", "object", event->id, "group",
        event->id, "customer", json_object_get(fetched, "customer"), "first", 0, "final", 0, "rank",
        0, "state", "", "prior", "", "facts", "id", event->object_id, "detail", "before", "after",
        facts);
}

static void add_thin(struct event_item *item, json_t *batch, const json_t *fetched, bool has_key)
{
    if (!has_key)
        event_item_end(
            item, OUTCOME_IGNORED,
            "a thin event only names its object: set STRIPE_SECRET_KEY to have it fetched");
    else if (!item->kind->path)
        event_item_end(item, OUTCOME_IGNORED, "this type of event has no effect in meterline");
    else if (item->refusal != FETCH_NOT_REFUSED)
        event_item_end(item, OUTCOME_FAILED,
                       "a thin event only names its object, and Stripe does not let our key read "
                       "%.100s: give the key the permission, then set state = 'received'",
                       item->event.object_id);
    else
        event_item_end(item, OUTCOME_IGNORED, "Stripe no longer has the object %.100s",
                       item->event.object_id);
    if (!fetched) {
        add_ended(item, batch);
        return;
    }
    event_item_end(item, OUTCOME_OPEN, "%s", "");
    json_array_append_new(batch, note_thin(item, fetched));
}

void event_item_add(struct event_item *item, json_t *batch, bool has_key)
{
    struct err e;
    json_t *fetched = NULL;
    if (item->outcome == OUTCOME_DELAYED)
        return;
    if (item->outcome != OUTCOME_OPEN) {
        add_ended(item, batch);
        return;
    }
    if (item->fetched) {
        merge_items(item);
        fetched = observe_fetched(item->kind, item->fetched, item->fetched_at_ms, &e);
    }
    if (item->fetched && !fetched) {
        event_item_end(item, OUTCOME_FAILED, "%s", e.text);
        add_ended(item, batch);
    } else if (item->observation) {
        json_array_append(batch, item->observation);
    } else {
        add_thin(item, batch, fetched, has_key);
    }
    /* What another item has fetched stands in the batch already. */
    if (fetched && item->same_as < 0)
        json_array_append(batch, fetched);
    json_decref(fetched);
    if (item->fetched_customer) {
        json_t *customer =
            observe_fetched(&CUSTOMER_KIND, item->fetched_customer, item->customer_at_ms, &e);
        if (customer)
            json_array_append_new(batch, customer);
    }
}

void event_item_done(struct event_item *item)
{
    meter_report_done(&item->report);
    json_decref(item->observation);
    json_decref(item->fetched);
    json_decref(item->more_items);
    json_decref(item->fetched_customer);
    stripe_event_done(&item->event);
}
