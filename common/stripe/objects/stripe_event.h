/* One Stripe event, parsed from the body of a webhook; and how to read members of Stripe's JSON.
 * Pure.
 *
 * Snapshot events carry their object (https://docs.stripe.com/api/events/object), thin ones (object
 * v2.core.event) only name it. Members that meterline does not know are ignored. */
#ifndef METERLINE_STRIPE_EVENT_H
#define METERLINE_STRIPE_EVENT_H

#include "common/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STRIPE_ID_MAX_BYTES = 255 };

/* Strings and objects are borrowed from root, which has at least the members that somebody asks for
 * (event_json.h). */
struct stripe_event {
    json_t *root; /* owned */
    const char *id;
    const char *type;
    const char *object_id;  /* NULL if there is none */
    const json_t *object;   /* data.object; NULL in a thin event */
    const json_t *previous; /* data.previous_attributes; NULL if there is none */
    int64_t created_s;      /* Unix seconds */
    bool livemode;
};

/* JSON of Stripe's, also what jansson refuses though it is valid (odd_json.h). A new reference;
 * NULL: it is no JSON. */
json_t *stripe_json_load(const char *body, size_t length);

/* Returns 0, or -1 with e (ERR_INPUT) if it is not JSON or not an event. */
int stripe_event_parse(const char *body, size_t length, struct stripe_event *out, struct err *e);
/* The same of JSON that is loaded already. Takes the reference, also if it fails; root may be NULL.
 */
int stripe_event_read(json_t *root, struct stripe_event *out, struct err *e);
void stripe_event_done(struct stripe_event *event);

/* What the object was before the event: the object with previous_attributes laid over it. A new
 * reference. The event must have an object. */
json_t *stripe_event_prior_object(const struct stripe_event *event);

/* Whether its type ends in this: ".created", ".deleted". */
bool stripe_event_is(const struct stripe_event *event, const char *end);

/* An id of Stripe's that may stand in a path: letters, digits, '_' and '-', at most 255. */
bool stripe_is_id(const char *text);

/* A member that is a string, else NULL. object may be NULL. */
const char *stripe_text(const json_t *object, const char *key);
/* A member that is an integer, else otherwise. */
int64_t stripe_integer(const json_t *object, const char *key, int64_t otherwise);
/* A time in Unix seconds, from an integer or from RFC 3339 in UTC (thin events), whose fraction of
 * a second is cut off. -1: none. */
int64_t stripe_time_s(const json_t *object, const char *key);
/* An expandable member: the id itself, or the id of the object in its place; NULL without. */
const char *stripe_reference(const json_t *object, const char *key);

#endif
