/* Fetches objects from Stripe, GET {base}/{path}/{id}, because an event is only a hint and the
 * object is the truth; data of thin events, which the delivered ones lack; and pages of lists.
 * Calls go out side by side, within the rate. What waits for the same object is served by one call.
 *
 *      WAITING (in the queue) --the rate allows it--> IN FLIGHT --> done
 *         ^                                               |
 *         +------------ 429, for PATIENCE_MS -------------+
 *
 * The happy path: 200 and an object. Failure modes: 404 is an answer. A 429 lowers the rate, and
 * the call goes out again. Two kinds of circuit breakers keep calls back that are of no use, and
 * let one probe through at growing intervals, of their own where nothing else asks: one for Stripe,
 * which opens when there is no connection or our key is refused (401), and one for each kind of
 * object, which opens when a restricted key may not read it (403) or when FAILURES calls in a row
 * end in errors. What is kept back is answered at once: as refused, or as to be tried again later.
 */
#ifndef METERLINE_FETCHER_H
#define METERLINE_FETCHER_H

#include "common/err.h"
#include "common/str.h"
#include "common/stripe/stripe_api.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct fetcher;

struct fetcher_events {
    void (*on_back)(void *owner); /* what failed may be tried again now; NULL: nobody asks */
    void *owner;
};

/* access: borrowed; its limits are not used. connections: calls side by side, at most. */
struct fetcher *fetcher_open(uv_loop_t *loop, const struct stripe_access *access, int connections,
                             struct fetcher_events events);

enum fetch_refusal {
    FETCH_NOT_REFUSED,
    FETCH_REFUSED,    /* Stripe refuses this call, or the key may not read this kind of object */
    FETCH_KEY_REFUSED /* Stripe refuses the key, for now */
};

struct fetch_answer {
    const struct err *error;    /* try again later, whatever its kind; NULL: there is an answer */
    bool kept_back;             /* with error: not for this object alone; see fetcher_wait_ms */
    enum fetch_refusal refusal; /* without error */
    int status;                 /* of the refusal: 401, 403 or another one */
    json_t *object;  /* borrowed until done returns; NULL without error and refusal: Stripe does not
                        know it (404) */
    int64_t sent_ms; /* Unix ms: not before this the answer was made */
};
/* Exactly once, from the loop. */
typedef void (*fetch_done_fn)(void *owner, const struct fetch_answer *answer);

/* path: of the API, such as "v1/customers". id: stripe_is_id (asserted). */
void fetcher_get(struct fetcher *f, const char *path, const char *id, fetch_done_fn done,
                 void *owner);

/* Likewise GET {base}/{path}, whose parameters are encoded already: a list. */
void fetcher_list(struct fetcher *f, const char *path, fetch_done_fn done, void *owner);
/* What to add to the parameters of a list of subscriptions, so that it tells what fetcher_get tells
 * of one, but for the tiers of prices. */
const char *fetcher_expand_listed(const struct fetcher *f);

/* Stripe takes no call for so long that work which needs one should not be begun. */
bool fetcher_is_paused(struct fetcher *f);

/* When it is worth trying again to fetch what was kept back, in ms. path: of that call. */
int64_t fetcher_wait_ms(struct fetcher *f, const char *path);

/* Appends a line for each thing that is wrong, or nothing. */
void fetcher_add_why(const struct fetcher *f, struct buf *why);

/* Fetches that wait or are in flight end as canceled. */
void fetcher_close(struct fetcher *f);

#endif
