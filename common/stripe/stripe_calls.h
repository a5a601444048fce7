/* Single calls of Stripe's API, side by side and within a rate: POST with an idempotency key, GET,
 * DELETE. A call is repeated with the same key and the same bytes until its patience ends, where
 * that may help; with its key it is done once, however often it went out
 * (docs.stripe.com/api/idempotent_requests, /error-low-level).
 *
 *      WAITING (for the rate, or to try again) --timer--> IN FLIGHT --> done
 *         ^                                                   |
 *         +-- no answer, 409, 429, 5xx, Stripe-Should-Retry --+
 *
 * The happy path: 200 and an object. A refusal (4xx) is an answer, and is not repeated. Failure
 * modes: Stripe cannot be reached, or refuses our key (401): a circuit breaker opens, calls end at
 * once, and the first one after a wait is the probe. Patience ends without an answer: what became
 * of the call is unknown, and only the same key may ask again. A 5xx that Stripe has stored under
 * the key would be given again for a day: it is not repeated either. */
#ifndef METERLINE_STRIPE_CALLS_H
#define METERLINE_STRIPE_CALLS_H

#include "common/err.h"
#include "common/str.h"
#include "common/stripe/stripe_api.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct stripe_calls;

enum stripe_outcome {
    STRIPE_DONE,    /* 200: object */
    STRIPE_REFUSED, /* Stripe refuses what was asked: nothing was done */
    STRIPE_AWAY,    /* nothing was done: not reached, or our key or rate is refused */
    STRIPE_UNKNOWN  /* it may have been done: ask again with the same key, or look for it */
};

struct stripe_request {
    const char *method;          /* GET, POST, DELETE */
    const char *path;            /* "/v1/customers", parts percent-encoded (ids are as they are) */
    const char *form;            /* the body of a POST, else the query; "" or NULL: none */
    const char *idempotency_key; /* of a POST that changes something; else NULL */
    const char *version;         /* Stripe-Version; NULL: the access' own */
    uint64_t patience_ms;        /* 0: the default, 20 s; a call in flight may take longer */
};

/* All of it is borrowed until done returns. Texts of Stripe's are NULL where it says nothing. */
struct stripe_reply {
    enum stripe_outcome outcome;
    json_t *object;   /* of STRIPE_DONE; numbers as by json_exact.h */
    int status;       /* HTTP; 0: no answer */
    const char *type; /* of Stripe's error: card_error, invalid_request_error, … */
    const char *code; /* resource_missing, card_declined, … */
    const char *decline_code;
    const char *param;
    const char *message;
    const char *request_id;  /* for Stripe's support */
    bool spent;              /* the failure is stored under the key: only another key can help */
    int64_t retry_after_ms;  /* of STRIPE_AWAY: before that it is of no use */
    const struct err *error; /* unless STRIPE_DONE: for the log, and for people */
};
/* Exactly once, from the loop. */
typedef void (*stripe_reply_fn)(void *owner, const struct stripe_reply *reply);

/* access: borrowed; its limits are not used. connections: calls side by side, at most. */
struct stripe_calls *stripe_calls_open(uv_loop_t *loop, const struct stripe_access *access,
                                       int connections);
/* What request points to is copied. */
void stripe_calls_send(struct stripe_calls *c, const struct stripe_request *request,
                       stripe_reply_fn done, void *owner);
/* Appends a line if Stripe cannot be reached or refuses our key, or nothing. */
void stripe_calls_add_why(const struct stripe_calls *c, struct buf *why);
int stripe_calls_in_flight(const struct stripe_calls *c);
/* Calls that wait end as STRIPE_AWAY, those in flight as STRIPE_UNKNOWN; then closed. */
void stripe_calls_close(struct stripe_calls *c, void (*closed)(void *owner), void *owner);

#endif
