/* Asks Stripe what it would invoice next, beside our own computation (preview_invoice in
 * deploy/functions). POST /v1/invoices/create_preview changes nothing, and is there in all versions
 * from 2024-06-20 on. It goes out without an idempotency key, which would give an old preview
 * again. */
#ifndef METERLINE_PREVIEW_ASK_H
#define METERLINE_PREVIEW_ASK_H

#include "common/stripe/stripe_calls.h"

#include <jansson.h>

/* Exactly once, from the loop. Both texts are borrowed until it returns.
 * invoice: JSON, for compare_preview(); NULL: see why.
 * why: NULL with an invoice. "" where Stripe says that nothing is upcoming. Else why Stripe gave no
 * preview, for people. */
typedef void (*preview_done_fn)(void *owner, const char *invoice, const char *why);

/* Why Stripe cannot be asked the question that our own preview answers, for people; NULL: it can.
 */
const char *preview_no_question(const json_t *ours);

/* request: the member of that name of our own preview, [[name, value], …]; copied. */
void preview_ask(struct stripe_calls *calls, const json_t *request, preview_done_fn done,
                 void *owner);

/* Our own preview, taken, where Stripe was not asked or did not answer: says so, and lacks
 * `request`. */
json_t *preview_alone(json_t *ours, const char *why);

#endif
