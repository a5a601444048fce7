/* Fetching a customer, a subscription or an invoice anew from Stripe: an event is a hint, the
 * object is the truth. Of a thin event: itself, since what is delivered of it lacks its data. */
#ifndef METERLINE_FETCH_H
#define METERLINE_FETCH_H

#include "common/err.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

struct config;
struct fetcher;

/* config: borrowed; needs its stripe_secret_key. */
struct fetcher *fetcher_open(uv_loop_t *loop, const struct config *config);

/* object: borrowed until done returns. Both NULL: Stripe does not know it (404). error: to be tried
 * again later, whatever its kind. Exactly once, from the loop. */
typedef void (*fetch_done_fn)(void *owner, const struct err *error, json_t *object);

/* path: of the API, such as "v1/customers". id: must be stripe_is_id (asserted). Goes out when the
 * rate allows it. */
void fetch_object(struct fetcher *f, const char *path, const char *id, fetch_done_fn done,
                  void *owner);

/* Stripe wants no call for so long that nothing should be begun that needs one. */
bool fetcher_is_paused(struct fetcher *f);

/* Appends why Stripe gave nothing at the last call, a line; nothing where it did. */
void fetcher_add_why(const struct fetcher *f, struct buf *why);

/* What waits or is in flight ends as canceled. */
void fetcher_close(struct fetcher *f);

#endif
