/* Reading Stripe's error answers (docs.stripe.com/api/errors). */
#ifndef METERLINE_STRIPE_ANSWER_H
#define METERLINE_STRIPE_ANSWER_H

#include "common/err.h"
#include "common/http/http_client.h"
#include "common/stripe/stripe_limits.h"

#include <stdbool.h>

/* Fill e (ERR_REFUSED) with the status as code, Stripe's message and the request id, which Stripe's
 * support asks for. retry is set if the same call may succeed later: 408, 409, 429, 5xx. */
void stripe_answer_error(const struct http_answer *answer, struct err *e);

/* Stripe's whole message, for which an err has no room: malloc'd, the caller's. NULL if there is
 * none that can be shown. */
char *stripe_answer_words(const struct http_answer *answer);

/* Was the call refused by the account's rate limit? Then the limits are lowered, the call was not
 * executed, and it may be made again after stripe_limits_wait_ms. (A 429 may also be about one
 * object.) error: as stripe_answer_error filled it, for the log. */
bool stripe_answer_is_limited(const struct http_answer *answer, struct stripe_limits *limits,
                              const struct err *error);

#endif
