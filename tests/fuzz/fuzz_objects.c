/* Any body of a webhook, and any object and previous_attributes as each type of event, in each
 * shape of the API. The input: a byte that chooses the type (beyond them: the rest is a whole
 * body), then the object's JSON, NUL, and previous_attributes' JSON. */
#include "common/str.h"
#include "common/stripe/objects/observation.h"
#include "tests/fuzz/fuzz.h"
#include "webhookd/receive/priority.h"
#include "webhookd/work/event_item.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const char *const OBJECT_TYPES[] = {"customer.created",
                                           "customer.deleted",
                                           "customer.subscription.created",
                                           "customer.subscription.updated",
                                           "customer.subscription.deleted",
                                           "invoice.created",
                                           "invoice.paid",
                                           "invoice.payment_failed",
                                           "invoice.upcoming",
                                           "invoice_payment.paid",
                                           "charge.succeeded",
                                           "charge.refunded",
                                           "payment_intent.succeeded",
                                           "payment_intent.payment_failed",
                                           "refund.created",
                                           "checkout.session.completed",
                                           "price.updated",
                                           "v1.billing.meter.error_report_triggered"};

enum { OBJECT_TYPES_COUNT = sizeof OBJECT_TYPES / sizeof *OBJECT_TYPES };

/* It is sent to PostgreSQL as text, which must come back as it was. */
static void must_be_sendable(const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    assert(text);
    json_t *again = json_loads(text, JSON_DECODE_ANY, NULL);
    assert(again && json_equal(value, again));
    json_decref(again);
    free(text);
}

/* What apply_stripe_events() takes for granted. */
static void must_be_observation(const json_t *o)
{
    static const char *const TEXTS[] = {"kind", "object", "group", "state"};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        assert(json_is_string(json_object_get(o, TEXTS[i])));
    assert(json_is_object(json_object_get(o, "facts")));
    assert(json_is_boolean(json_object_get(o, "final")));
    const char *tenant = stripe_text(o, "tenant");
    assert(!tenant || strlen(tenant) <= 128);
    const char *customer = stripe_text(o, "customer");
    assert(!customer || stripe_is_id(customer));
    must_be_sendable(o);
}

static void must_observe(const struct stripe_event *event)
{
    struct err e;
    const struct object_kind *kind = object_kind_of(event->type);
    if (!kind || !event->object)
        return;
    json_t *o = observe_event(kind, event, &e);
    json_t *again = observe_event(kind, event, &e);
    assert(!o == !again && (!o || json_equal(o, again)));
    if (o)
        must_be_observation(o);
    else
        assert(e.kind == ERR_INPUT && *e.text);
    json_t *fetched = kind->path ? observe_fetched(kind, event->object, 1795243270920, &e) : NULL;
    if (fetched)
        must_be_observation(fetched);
    json_decref(fetched);
    json_decref(again);
    json_decref(o);
}

/* As a worker takes it. */
static void must_be_worked(const char *body, const struct stripe_event *event)
{
    struct event_item item = {0};
    json_t *batch = json_array();
    event_item_open(&item, event->id, event->type, body, event->livemode);
    event_item_add(&item, batch, false);
    assert(item.outcome == OUTCOME_DELAYED || json_array_size(batch) >= 1);
    must_be_sendable(batch);
    event_item_done(&item);
    json_decref(batch);
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool is_same_report(const json_t *a, const json_t *b)
{
    struct meter_report x = {0};
    struct meter_report y = {0};
    bool same = meter_report_parse(a, &x) == meter_report_parse(b, &y) &&
                x.error_count == y.error_count && x.start_s == y.start_s && x.end_s == y.end_s &&
                (x.named == y.named || json_equal(x.named, y.named));
    meter_report_done(&x);
    meter_report_done(&y);
    return same;
}

/* What is read of an event does not depend on the members that are left out of it. */
static void must_follow_alike(const struct stripe_event *event, const struct stripe_event *whole)
{
    struct err e;
    const struct object_kind *kind = object_kind_of(event->type);
    assert(is_same_text(event->id, whole->id) && is_same_text(event->type, whole->type) &&
           is_same_text(event->object_id, whole->object_id) &&
           event->created_s == whole->created_s && event->livemode == whole->livemode);
    assert(is_same_text(event_customer(event), event_customer(whole)));
    assert(event_priority(event) == event_priority(whole));
    assert(is_same_text(stripe_text(event->root, "account"), stripe_text(whole->root, "account")));
    assert(is_same_text(stripe_text(event->root, "context"), stripe_text(whole->root, "context")));
    assert(is_same_report(event->root, whole->root));
    assert(!event->object == !whole->object);
    if (!kind || !event->object)
        return;
    json_t *o = observe_event(kind, event, &e);
    json_t *of_whole = observe_event(kind, whole, &e);
    assert(o ? json_equal(o, of_whole) : !of_whole);
    json_decref(of_whole);
    json_decref(o);
}

static void must_read_body(const char *body, size_t length)
{
    struct stripe_event event;
    struct stripe_event whole;
    struct err e;
    int refused = stripe_event_read(stripe_json_load(body, length), &whole, &e);
    if (stripe_event_parse(body, length, &event, &e)) {
        assert(refused && e.kind == ERR_INPUT && *e.text);
        return;
    }
    assert(!refused);
    must_follow_alike(&event, &whole);
    stripe_event_done(&whole);
    const char *customer = event_customer(&event);
    assert(!customer || stripe_is_id(customer));
    enum priority priority = event_priority(&event);
    assert(priority >= PRIORITY_UNBLOCKS && priority <= PRIORITY_OTHER);
    must_observe(&event);
    /* Only what PostgreSQL holds as text gets there. */
    if (strlen(body) == length)
        must_be_worked(body, &event);
    stripe_event_done(&event);
}

static void fuzz_objects(const uint8_t *data, size_t size)
{
    struct buf body = {0};
    if (size == 0)
        return;
    const char *text = (const char *)data + 1;
    size_t length = strnlen(text, size - 1);
    if (data[0] >= OBJECT_TYPES_COUNT) {
        buf_add(&body, text, size - 1);
    } else {
        buf_printf(&body, "{\"id\":\"evt_1\",\"created\":1795243270,\"type\":\"%s\",\"data\":{",
                   OBJECT_TYPES[data[0]]);
        buf_add_str(&body, "\"object\":");
        buf_add(&body, text, length);
        if (length < size - 1) {
            buf_add_str(&body, ",\"previous_attributes\":");
            buf_add(&body, text + length + 1, size - length - 2);
        }
        buf_add_str(&body, "}}");
    }
    must_read_body(body.data ? body.data : "", body.length);
    buf_done(&body);
}

FUZZ_TARGET(fuzz_objects)
