#include "common/stripe/objects/observation.h"

#include "common/stripe/objects/facts.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { DIGEST_BYTES = 16 };

const struct object_kind *const OBJECT_KINDS[] = {&CUSTOMER_KIND,
                                                  &SUBSCRIPTION_KIND,
                                                  &INVOICE_KIND,
                                                  &PAYMENT_INTENT_KIND,
                                                  &CHARGE_KIND,
                                                  &INVOICE_PAYMENT_KIND,
                                                  &REFUND_KIND,
                                                  &CHECKOUT_KIND,
                                                  &PRICE_KIND,
                                                  &INVOICE_ITEM_KIND,
                                                  &SCHEDULE_KIND,
                                                  &NOTE_KIND,
                                                  NULL};

/* Thin events are named like their snapshot twins, after the version of the API. */
static const char *plain_type(const char *type)
{
    return strncmp(type, "v1.", 3) == 0 ? type + 3 : type;
}

const struct object_kind *object_kind_of(const char *type)
{
    for (const struct object_kind *const *kind = OBJECT_KINDS; *kind; kind++)
        for (const char *const *t = (*kind)->types; *t; t++)
            if (strcmp(*t, plain_type(type)) == 0)
                return *kind;
    return NULL;
}

/* Digests. */

static json_t *digest(const json_t *value)
{
    unsigned char hash[DIGEST_BYTES];
    char hex[2 * DIGEST_BYTES + 1];
    char *text = json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS);
    crypto_generichash(hash, sizeof hash, (const unsigned char *)text, strlen(text), NULL, 0);
    free(text);
    return json_string(sodium_bin2hex(hex, sizeof hex, hash, sizeof hash));
}

/* An event gives only the ids of discounts, and what is fetched has their coupons as well. What a
 * discount is never changes. */
static void keep_discount_ids(json_t *values)
{
    size_t i;
    const json_t *discount;
    const json_t *discounts = json_object_get(values, "discounts");
    if (!discounts)
        return;
    json_t *ids = json_array();
    json_array_foreach(discounts, i, discount)
    {
        json_t *id = json_object_get(discount, "id");
        json_array_append(ids, id ? id : (json_t *)discount);
    }
    json_object_set_new(values, "discounts", ids);
}

/* The facts, a new reference, without what is not of the object's own state. */
static json_t *state_of(const json_t *facts)
{
    size_t i;
    json_t *item;
    json_t *state = json_deep_copy(facts);
    /* Invoices come and go without an event of their subscription. */
    json_object_del(state, "latest_invoice");
    json_object_del(state, "latest_invoice_finalized_at");
    keep_discount_ids(state);
    json_array_foreach(json_object_get(state, "items"), i, item)
    {
        keep_discount_ids(item);
    }
    return state;
}

static json_t *digest_state(const json_t *facts)
{
    json_t *state = state_of(facts);
    json_t *of_it = digest(state);
    json_decref(state);
    return of_it;
}

/* What the period, the next invoice and a schedule are does not change what is earned. */
static json_t *digest_shape(const json_t *facts)
{
    static const char *const LEFT_OUT[] = {
        "current_period_start", "current_period_end", "schedule",  "trial_start",  "trial_end",
        "billing_cycle_anchor", "items_cut",          "tax_rates", "automatic_tax"};
    json_t *shape = state_of(facts);
    for (size_t i = 0; i < sizeof LEFT_OUT / sizeof *LEFT_OUT; i++)
        json_object_del(shape, LEFT_OUT[i]);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(shape, "items"), i, item)
    {
        json_object_del(item, "start");
        json_object_del(item, "end");
        json_object_del(item, "tax_rates");
    }
    json_t *of_it = digest(shape);
    json_decref(shape);
    return of_it;
}

/* What changed. */

static void add_changed(json_t *out, const json_t *from, const json_t *other)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)from, key, value)
    {
        if (!json_equal(value, json_object_get(other, key)))
            json_object_set(out, key, value);
    }
}

static json_t *detail_of(const struct facts *before, const struct facts *after)
{
    json_t *was = json_object();
    json_t *is = json_object();
    if (before->values && !json_equal(before->values, after->values)) {
        add_changed(was, before->values, after->values);
        add_changed(is, after->values, before->values);
    } else {
        json_object_update(is, after->values);
    }
    return json_pack("{s:o, s:o}", "before", was, "after", is);
}

/* Observations. */

static void facts_done(struct facts *f)
{
    json_decref(f->values);
    json_decref(f->prices);
    memset(f, 0, sizeof *f);
}

static int read_facts(const struct object_kind *kind, const json_t *object, struct facts *out,
                      struct err *e)
{
    memset(out, 0, sizeof *out);
    out->values = json_object();
    out->id = stripe_text(object, "id");
    out->customer = stripe_reference(object, "customer");
    out->tenant = metadata_tenant(object);
    out->status = stripe_text(object, "status");
    if (kind->read(object, out, e) == 0)
        return 0;
    facts_done(out);
    return -1;
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static void set_seconds(json_t *o, const char *name, int64_t seconds)
{
    json_object_set_new(o, name, seconds > 0 ? json_integer(seconds) : json_null());
}

static json_t *make(const struct object_kind *kind, const struct facts *f, const char *id)
{
    json_t *o = json_object();
    json_object_set_new(o, "kind", json_string(kind->name));
    json_object_set_new(o, "object", json_string(id));
    json_object_set_new(o, "group", json_string(f->group ? f->group : id));
    json_object_set_new(o, "customer",
                        text_or_null(stripe_is_id(f->customer) ? f->customer : NULL));
    json_object_set_new(o, "parent", text_or_null(f->parent));
    if (f->tenant && tenant_is_valid(f->tenant))
        json_object_set_new(o, "tenant", json_string(f->tenant));
    else if (f->tenant)
        json_object_set_new(
            o, "why", json_string("metadata.tenant is longer than 128 bytes or not plain text"));
    json_object_set_new(o, "status", text_or_null(f->status));
    json_object_set_new(o, "final", json_boolean(f->final));
    json_object_set_new(o, "rank", json_integer(f->rank));
    set_seconds(o, "starts", f->starts_s);
    set_seconds(o, "ends", f->ends_s);
    json_object_set_new(o, "state", digest_state(f->values));
    if (kind == &SUBSCRIPTION_KIND)
        json_object_set_new(o, "shape", digest_shape(f->values));
    json_object_set(o, "facts", f->values);
    if (f->prices)
        json_object_set(o, "prices", f->prices);
    return o;
}

/* Only an event that creates the object, or that tells what it changed, leads from one state to
 * another. Any other shows a state that some event before it led to. */
static void add_prior(json_t *o, const struct facts *before, bool first)
{
    if (first) {
        json_object_set_new(o, "prior", json_null());
    } else if (before->values) {
        json_object_set_new(o, "prior", digest_state(before->values));
        json_object_set_new(o, "prior_status", text_or_null(before->status));
        set_seconds(o, "prior_starts", before->starts_s);
        set_seconds(o, "prior_ends", before->ends_s);
    } else {
        json_object_set(o, "prior", json_object_get(o, "state"));
        json_object_set(o, "prior_status", json_object_get(o, "status"));
    }
}

json_t *observe_event(const struct object_kind *kind, const struct stripe_event *event,
                      struct err *e)
{
    struct facts after;
    struct facts before = {0};
    struct err ignored;
    if (read_facts(kind, event->object, &after, e))
        return NULL;
    json_t *prior = event->previous ? stripe_event_prior_object(event) : NULL;
    if (prior && read_facts(kind, prior, &before, &ignored))
        before.values = NULL;
    bool first = stripe_event_is(event, ".created") && !kind->is_note;
    after.final = after.final || stripe_event_is(event, ".deleted");
    json_t *o = make(kind, &after, kind->is_note ? event->id : after.id);
    add_prior(o, &before, first);
    /* A key that the price has lost tells all the same whose it was. */
    if (kind == &PRICE_KIND && before.prices)
        json_array_extend(json_object_get(o, "prices"), before.prices);
    json_object_set_new(o, "event", json_string(event->id));
    json_object_set_new(o, "type", json_string(plain_type(event->type)));
    json_object_set_new(o, "created", json_integer(event->created_s));
    json_object_set_new(o, "first", json_boolean(first));
    json_object_set_new(o, "request", text_or_null(stripe_reference(event->root, "request")));
    json_object_set_new(o, "detail", detail_of(&before, &after));
    facts_done(&before);
    facts_done(&after);
    json_decref(prior);
    return o;
}

json_t *observe_fetched(const struct object_kind *kind, const json_t *object, int64_t at_ms,
                        struct err *e)
{
    struct facts facts;
    if (read_facts(kind, object, &facts, e))
        return NULL;
    json_t *o = make(kind, &facts, facts.id);
    json_object_set_new(o, "event", json_null());
    json_object_set_new(o, "fetched_ms", json_integer(at_ms));
    facts_done(&facts);
    return o;
}
