/* Reading Stripe's error answers (docs.stripe.com/api/errors). */
#ifndef METERLINE_STRIPE_ANSWER_H
#define METERLINE_STRIPE_ANSWER_H

#include "common/err.h"
#include "common/http/http_client.h"
#include "common/stripe/stripe_limits.h"

#include <jansson.h>
#include <stdbool.h>

/* Fill e (ERR_REFUSED) with the status as code, Stripe's message and the request id, which Stripe's
 * support asks for. retry is set if the same call may succeed later: 408, 409, 429, 5xx. */
void stripe_answer_error(const struct http_answer *answer, struct err *e);

/* Stripe's whole message, for which an err has no room: malloc'd, the caller's. NULL if there is
 * none that can be shown. */
char *stripe_answer_words(const struct http_answer *answer);

/* A text of the answer; NULL if it cannot be shown: what stands in an answer may be anything. */
const char *stripe_answer_text(const json_t *object, const char *key);

/* The label of METRIC_OF_STRIPE_REQUESTS. is_fine: what was asked for stands in it. */
const char *stripe_answer_outcome(int status, bool is_fine);

/* Of an answer that is not the object asked for (so 200 means that something in between garbled
 * it): does it tell of the moment, not of the call? */
bool stripe_answer_is_transient(int status);

/* May the same call be made again? What Stripe itself says of that comes first, as in its own
 * libraries. */
bool stripe_answer_may_repeat(const struct http_answer *answer);

/* Was the call refused by the account's rate limit? Then the limits are lowered, the call was not
 * executed, and it may be made again after stripe_limits_wait_ms. (A 429 may also be about one
 * object.) error: as stripe_answer_error filled it, for the log. */
bool stripe_answer_is_limited(const struct http_answer *answer, struct stripe_limits *limits,
                              const struct err *error);

#endif
