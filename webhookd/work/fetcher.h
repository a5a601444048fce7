/* Fetches objects from Stripe, GET {STRIPE_API_BASE}/{path}/{id}: customers, subscriptions and
 * invoices, because an event is only a hint and the object is the truth; and thin events, because
 * the delivered ones lack their data.
 *
 *      WAITING (in the queue) --the rate allows it--> IN FLIGHT --> done
 *         ^                                               |
 *         +------------ 429, for PATIENCE_MS -------------+
 *
 * The happy path: 200 and an object. Failure modes: 404 is an answer. A 429 lowers the rate, and
 * the call goes out again. Everything else (no connection, an error of Stripe's, a refused key, a
 * body that is not JSON) is the caller's to try again. It is logged here when Stripe is lost and
 * when it is back. */
#ifndef METERLINE_WEBHOOKD_FETCHER_H
#define METERLINE_WEBHOOKD_FETCHER_H

#include "common/err.h"
#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <uv.h>

struct config;
struct fetcher;

/* config: borrowed; has a stripe_secret_key. */
struct fetcher *fetcher_open(uv_loop_t *loop, const struct config *config);

/* object: borrowed until done returns. Both NULL: Stripe does not know it (404). error: try again
 * later, whatever its kind. Exactly once, from the loop. */
typedef void (*fetch_done_fn)(void *owner, const struct err *error, json_t *object);

/* path: of the API, such as "v1/customers". id: stripe_is_id (asserted). Goes out when the rate
 * allows it. */
void fetcher_get(struct fetcher *f, const char *path, const char *id, fetch_done_fn done,
                 void *owner);

/* Likewise GET {STRIPE_API_BASE}/{path}, whose parameters are encoded already: a list. */
void fetcher_list(struct fetcher *f, const char *path, fetch_done_fn done, void *owner);

/* Stripe takes no call for so long that work which needs one should not be begun. */
bool fetcher_is_paused(struct fetcher *f);

/* Appends a line that says why the last call failed, or nothing if it did not. */
void fetcher_add_why(const struct fetcher *f, struct buf *why);

/* Fetches that wait or are in flight end as canceled. */
void fetcher_close(struct fetcher *f);

#endif
