/* A way to hand usage to Stripe. Each has a file of its own and one entry in TRANSPORTS.
 *
 * body     the final bytes of one submission, made when it is claimed
 * request  what one call sends: one body as it is, or many, where the transport takes batches */
#ifndef METERLINE_SINK_TRANSPORT_H
#define METERLINE_SINK_TRANSPORT_H

#include "common/http/http_client.h"
#include "common/stripe/usage_body.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct transport {
    const char *name; /* as in metrics.transport */
    const char *path; /* of the POST; {} stands for the subscription item's id */
    const char *content_type;
    const char *version;   /* Stripe-Version; NULL: STRIPE_API_VERSION */
    int batch_max;         /* submissions a call, 1 to TRANSPORT_CALL_COST */
    const char *opens;     /* what stands before and behind the bodies of a batch, which are */
    const char *closes;    /* separated by commas; NULL: a request is one body */
    bool by_token;         /* goes to STRIPE_METER_EVENTS_BASE with a session's token for a key */
    bool takes_negative;   /* else nothing is subtracted from what it sent: see claim_rule.h */
    bool ends_with_period; /* takes nothing for a period that is over, even before its invoice is
                              final */
    /* The exact bytes of every try. Pure. */
    void (*make_body)(struct buf *out, const struct usage *usage);
    /* Is this the body of Stripe's own 2xx for that submission? A 200 by a portal or a proxy is
     * not. Pure. body: length bytes, may be no JSON at all. Of usage only what tells submissions
     * apart is set: identifier, subscription_item and quantity. */
    bool (*is_receipt)(const char *body, size_t length, const struct usage *usage);
    /* Does the message of a 400 say that the usage is too late for its period? NULL: none does. */
    bool (*is_too_late)(const char *message);
};

extern const struct transport TRANSPORT_METER_EVENTS;
extern const struct transport TRANSPORT_METER_EVENT_STREAM;
extern const struct transport TRANSPORT_USAGE_RECORDS;

enum { TRANSPORT_COUNT = 3, TRANSPORT_CALL_COST = 100 };

/* All of them; ends in NULL. */
extern const struct transport *const TRANSPORTS[TRANSPORT_COUNT + 1];

/* The index in TRANSPORTS; -1 if this build does not have it. */
int transport_index(const char *name);
/* NULL if this build does not have it. */
const struct transport *transport_find(const char *name);

/* What a submission takes of a call, in hundredths. */
int transport_cost(const struct transport *t);

/* The path of a submission's call, appended. Returns 0, or -1 with e if the path needs a
 * subscription item's id and this is none of Stripe's: A-Z a-z 0-9 _ and -, so that nothing has to
 * be escaped. subscription_item: may be NULL. Pure. */
int transport_path(const struct transport *t, const char *subscription_item, struct buf *out,
                   struct err *e);

/* What the Idempotency-Key of a request that holds several bodies is made of: a hash of its bytes,
 * so that the same batch has the same key. Pure. */
#define TRANSPORT_KEY_SIZE 68
void transport_batch_key(const char *request, size_t length, char out[TRANSPORT_KEY_SIZE]);

/* Is that member of an answer this text? object: NULL is none. */
static inline bool transport_text_is(const json_t *object, const char *name, const char *expected)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text && !strcmp(text, expected);
}

enum { TRANSPORT_HEADERS = 5 };

/* The headers of one try. authorization: "Bearer sk_…"; version: Stripe-Version where the transport
 * has none of its own; key: the Idempotency-Key. All borrowed; ends in {NULL}. Pure. */
void transport_headers(const struct transport *t, const char *authorization, const char *version,
                       const char *key, struct http_header out[TRANSPORT_HEADERS]);

#endif
