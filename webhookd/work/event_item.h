/* One event of a batch: what it is, what Stripe says of its object, and how it ends. */
#ifndef METERLINE_WEBHOOKD_EVENT_ITEM_H
#define METERLINE_WEBHOOKD_EVENT_ITEM_H

#include "common/stripe/fetcher.h"
#include "common/stripe/objects/observation.h"
#include "common/stripe/objects/stripe_event.h"
#include "webhookd/work/meter_report.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { WHY_MAX_BYTES = 320 };

enum outcome {
    OUTCOME_OPEN, /* what its observation leads to decides */
    OUTCOME_PROCESSED,
    OUTCOME_IGNORED,
    OUTCOME_FAILED,
    OUTCOME_DELAYED
};

struct event_item {
    struct event_batch *batch;
    struct stripe_event event;
    int64_t attempts;    /* before this one */
    int64_t received_ms; /* monotonic */
    const struct object_kind *kind;
    bool is_report;
    struct meter_report report;
    int report_answer; /* index of the statement whose answer tells what the report did */
    enum outcome outcome;
    char why[WHY_MAX_BYTES];
    json_t *observation; /* of a snapshot event */
    json_t *fetched;     /* the object, as fetched; NULL: not asked for, or Stripe has none */
    json_t *more_items;  /* of a subscription whose list was cut: pages that were fetched */
    json_t *fetched_customer;
    int64_t fetched_at_ms; /* Unix ms by PostgreSQL's clock, like that of the next one */
    int64_t customer_at_ms;
    enum fetch_refusal refusal; /* of the fetch */
    const char *kept_back;      /* of the API: it is due when this path may be asked again; NULL: it
                                   waits by its own tries */
    int same_as; /* place of the item in the batch whose fetch serves this one too; -1: none */
};

/* Takes a picked row apart. payload may be NULL. live: take live events. */
void event_item_open(struct event_item *item, const char *id, const char *type, const char *payload,
                     bool live);
void event_item_done(struct event_item *item);
/* Ends it so, for a reason. */
void event_item_end(struct event_item *item, enum outcome outcome, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The customer that it is about, from what is known so far; NULL: none. */
const char *event_item_customer(const struct event_item *item);
/* Append its elements of the batch for apply_stripe_events(). has_key: objects are fetched. */
void event_item_add(struct event_item *item, json_t *batch, bool has_key);

#endif
