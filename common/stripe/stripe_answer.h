/* What an answer of Stripe's says beyond its status (docs.stripe.com/api/errors). */
#ifndef METERLINE_STRIPE_ANSWER_H
#define METERLINE_STRIPE_ANSWER_H

#include "common/err.h"
#include "common/http/http_client.h"
#include "common/stripe/stripe_limits.h"

#include <stdbool.h>

/* Fill e with a refusal: its status as code, Stripe's own words and the request's id, which
 * Stripe's support asks for; retry where the same may be answered otherwise later: 408, 409, 429,
 * 5xx. */
void stripe_answer_error(const struct http_answer *answer, struct err *e);

/* Stripe's own words to the end, for which an err has no room: the caller's; NULL: there are none
 * that can be shown. */
char *stripe_answer_words(const struct http_answer *answer);

/* Tell the limiter of an answer. True if it is the account's rate limit: the call was not executed,
 * and may be made again after stripe_limits_wait_ms. (Another 429 concerns one object.) error: as
 * filled from it, for the log. */
bool stripe_answer_is_limited(const struct http_answer *answer, struct stripe_limits *limits,
                              const struct err *error);

#endif
