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

static void must_read_body(const char *body, size_t length)
{
    struct stripe_event event;
    struct err e;
    if (stripe_event_parse(body, length, &event, &e)) {
        assert(e.kind == ERR_INPUT && *e.text);
        return;
    }
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
