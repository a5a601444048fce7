/* Reading lists from Stripe's API: all pages, one call at a time, within a rate. Reads may be
 * repeated freely, so a failure that may pass by itself (no answer, 409, 429, 5xx, an answer that
 * is not Stripe's) is tried again a few times, with growing waits. */
#ifndef METERLINE_STRIPE_API_H
#define METERLINE_STRIPE_API_H

#include "common/err.h"
#include "common/stripe/stripe_limits.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct stripe_api;

/* All borrowed for the life of the api. */
struct stripe_access {
    char *const *key; /* sk_… or rk_…; a pointer to it, since it may be rolled; never logged */
    const char *base; /* such as https://api.stripe.com */
    const char *version;          /* Stripe-Version */
    int64_t rate_per_s;           /* calls a second, at most */
    struct stripe_limits *limits; /* shared with other callers; NULL: one of its own */
};

struct stripe_api *stripe_api_open(uv_loop_t *loop, const struct stripe_access *access);

/* One object of a list, in its order; borrowed. Numbers as by json_exact.h. */
typedef void (*stripe_item_fn)(void *owner, json_t *item);
/* Exactly once, from the loop. error NULL: on_item got every item. The error's text has Stripe's
 * request id. ERR_CANCELED: closed meanwhile. */
typedef void (*stripe_done_fn)(void *owner, const struct err *error);

/* GET base + path + '?' + query + paging. path: begins with /v1/, parts percent-encoded. query:
 * percent-encoded, "" for none. version: NULL for the access' own. No other call may be under way
 * (asserted). */
void stripe_api_list(struct stripe_api *a, const char *path, const char *query, const char *version,
                     stripe_item_fn on_item, stripe_done_fn done, void *owner);

/* Is the error about what was asked for, such as a customer that Stripe does not know? Then other
 * calls may succeed. */
bool stripe_api_refused_this(const struct err *error);

/* Stripe's whole message when it last refused a call, which an err would cut. Borrowed until the
 * next call; NULL if it did not refuse, or said nothing. */
const char *stripe_api_words(const struct stripe_api *a);

/* A call under way is canceled; closed runs from the loop when a is freed. */
void stripe_api_close(struct stripe_api *a, void (*closed)(void *owner), void *owner);

#endif
