/* A way to hand usage to Stripe. Each has a file of its own and one entry in TRANSPORTS. */
#ifndef METERLINE_SINK_TRANSPORT_H
#define METERLINE_SINK_TRANSPORT_H

#include "common/dec.h"
#include "common/http_client.h"
#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

/* What a body is made of. */
struct usage {
    const char *event_name;
    const char *customer;          /* Stripe's id */
    const char *subscription_item; /* Stripe's id, of usage_records; else NULL */
    struct dec quantity;           /* whole, below 10^15 */
    const char *identifier;
    int64_t usage_at_s; /* Unix seconds, a whole minute */
};

struct transport {
    const char *name; /* as in metrics.transport */
    const char *path; /* of the POST */
    const char *content_type;
    bool takes_negative;   /* else a negative difference is held against the next positive one */
    bool ends_with_period; /* takes nothing for a period that is over, even before its invoice is
                              final */
    /* The exact bytes of every try. Pure. */
    void (*make_body)(struct buf *out, const struct usage *usage);
    /* Is this the body of Stripe's own 2xx for that submission? A 200 by a portal or a proxy is
     * not. Pure. body: length bytes, may be no JSON at all. */
    bool (*is_receipt)(const char *body, size_t length, const char *identifier);
};

extern const struct transport TRANSPORT_METER_EVENTS;

/* All of them; ends in NULL. */
extern const struct transport *const TRANSPORTS[];

/* NULL if this build does not have it. */
const struct transport *transport_find(const char *name);

enum { TRANSPORT_HEADERS = 5 };

/* The headers of one try. authorization: "Bearer sk_…"; version: Stripe-Version; identifier: also
 * the Idempotency-Key. All borrowed; ends in {NULL}. Pure. */
void transport_headers(const struct transport *t, const char *authorization, const char *version,
                       const char *identifier, struct http_header out[TRANSPORT_HEADERS]);

#endif
