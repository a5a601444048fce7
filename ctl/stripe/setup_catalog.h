/* What an account at Stripe should have for a catalog: products, meters, prices, a tax rate, a
 * configuration of the customer portal, and a webhook endpoint. Pure.
 *
 *     {"kind": "price", "name": "standard", "params": {…}, "extra": {…}, "needs": [[kind, name]],
 *      "plan", "metric", "yearly", "version", "warn"}
 *
 * params are those of the POST that makes it, as nested JSON, and what Stripe shows of it later
 * under the same names; null: it has none. extra: more for that POST alone. needs: what must be
 * there first; of a meter, its id becomes recurring.meter. warn: why there can be no such object.
 *
 * What is ours has metadata.meterline, which tells what it is: plan, metric, fee, usage, tax,
 * portal, webhook. Meters have no metadata: theirs is the event name. */
#ifndef METERLINE_CTL_SETUP_CATALOG_H
#define METERLINE_CTL_SETUP_CATALOG_H

#include "common/str.h"

#include <jansson.h>

#define SETUP_MARK "meterline" /* the key in metadata */

struct setup_wish {
    const char *version;     /* Stripe-Version of our calls, and of events at the endpoint */
    const char *webhook_url; /* NULL: no endpoint is asked for */
    const char *return_url;  /* where the portal leads back to; NULL: each session says */
};

/* rows: of catalog_parse. The objects in the order in which they are made; the caller's. NULL if
 * two of the catalog would have the same name at Stripe: then faults has a line for each. */
json_t *setup_catalog(const json_t *rows, const struct setup_wish *wish, struct buf *faults);

#endif
