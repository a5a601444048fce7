/* Fetching a customer, a subscription or an invoice anew from Stripe: an event is a hint, the
 * object is the truth. Of a thin event: itself, since what is delivered of it lacks its data. */
#ifndef METERLINE_FETCH_H
#define METERLINE_FETCH_H

#include "common/err.h"

#include <jansson.h>

struct webhookd;

/* object: borrowed until done returns. Both NULL: Stripe does not know it (404). error: to be tried
 * again later, whatever its kind. Exactly once, from the loop. */
typedef void (*fetch_done_fn)(void *owner, const struct err *error, json_t *object);

/* path: of the API, such as "v1/customers". id: must be stripe_is_id (asserted). Needs d->http. */
void fetch_object(struct webhookd *d, const char *path, const char *id, fetch_done_fn done,
                  void *owner);

#endif
