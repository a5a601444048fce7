/* What an event of Stripe's says about one object: an observation. Whatever the order in which
 * events come, the state of an object is made of all its observations (deploy/functions), so an
 * observation has to say when it was made, what the object was then, and what it was just before.
 * All shapes from 2024-06-20 to 2026-10-28.endive become the same facts. Pure.
 *
 * An observation is JSON, the element of a batch for apply_stripe_events():
 *
 *   event, type, created    of the event; created in Unix seconds
 *   fetched_ms              instead of event and created: the object was fetched then, Unix ms
 *   kind, object, customer  which object, and whose; customer: null where Stripe does not say
 *   group, parent           the payment that a charge or refund is part of; the invoice of a
 * payment, the subscription of an invoice tenant                  that the object names; null: none
 *   first, final            the event makes the object; nothing comes after it
 *   state, prior            digests of the facts after and before the event. Equal where the event
 *                           tells no change; prior is null where there was nothing before
 *   status, prior_status    of the object
 *   starts, ends, prior_*   of a subscription: its current period, Unix seconds
 *   shape                   of a subscription: a digest of what its revenue follows from
 *   rank                    how far an object has come, among states of the same second
 *   request                 the API request behind the event
 *   facts                   named as the columns of the object's table
 *   detail                  {before, after}: what changed, for the history
 *   prices                  of a subscription's items */
#ifndef METERLINE_OBSERVATION_H
#define METERLINE_OBSERVATION_H

#include "common/err.h"
#include "common/stripe/objects/stripe_event.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* The facts of one object. Strings are borrowed from the object. */
struct facts {
    json_t *values; /* owned; absent where Stripe says null */
    json_t *prices; /* owned; NULL: it has none */
    const char *id;
    const char *customer;
    const char *tenant;
    const char *group; /* NULL: the object itself */
    const char *parent;
    const char *status;
    int64_t starts_s; /* 0: it has no period */
    int64_t ends_s;
    int rank;
    bool final;
};

/* A kind of object: which events tell of it, and how it is read. */
struct object_kind {
    const char *name;
    const char *const *types; /* of events: {"customer.created", …, NULL} */
    const char *path;         /* of the API, "v1/customers"; NULL: it is not fetched */
    /* Returns -1 with e (ERR_INPUT) naming what is missing. */
    int (*read)(const json_t *object, struct facts *out, struct err *e);
    bool is_note; /* kept as a line of the history only; the object may have no id */
};

/* NULL: events of this type have no effect. Thin twins (`v1.invoice.paid`) count as their type. */
const struct object_kind *object_kind_of(const char *type);

/* The observation of a snapshot event. NULL with e if the object cannot be understood. */
json_t *observe_event(const struct object_kind *kind, const struct stripe_event *event,
                      struct err *e);
/* That of an object that was fetched. at_ms: Unix ms, not before the event it was fetched for. */
json_t *observe_fetched(const struct object_kind *kind, const json_t *object, int64_t at_ms,
                        struct err *e);

extern const struct object_kind *const OBJECT_KINDS[]; /* all; ends in NULL */
extern const struct object_kind CUSTOMER_KIND;
extern const struct object_kind SUBSCRIPTION_KIND;
extern const struct object_kind PRICE_KIND;
extern const struct object_kind INVOICE_KIND;
extern const struct object_kind INVOICE_ITEM_KIND;
extern const struct object_kind SCHEDULE_KIND;
extern const struct object_kind CHARGE_KIND;
extern const struct object_kind PAYMENT_INTENT_KIND;
extern const struct object_kind INVOICE_PAYMENT_KIND;
extern const struct object_kind REFUND_KIND;
extern const struct object_kind CHECKOUT_KIND;
extern const struct object_kind NOTE_KIND;

#endif
