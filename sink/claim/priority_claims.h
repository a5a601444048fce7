/* Claims that cannot wait for the next cycle: usage near a billing period's end must reach Stripe
 * before the invoice is finalized, about an hour after it was created (docs.stripe.com/billing/
 * subscriptions/usage-based: the grace period). There are two kinds:
 *
 * requests      webhookd saw `invoice.created` and wrote to sink_requests: that tenant is claimed
 *               within a second
 *
 * period ends   tenants with usage in a period that ended less than an hour ago, or ends within one
 *               interval, are claimed ten times an interval, but at least every 10 s and at most
 *               each second. An invoice takes what comes in its hour: with an interval of an hour,
 * a cycle would come too late for all of it.
 *
 * Both are runs of their own on a connection of their own, beside the cycle. */
#ifndef METERLINE_SINK_PRIORITY_CLAIMS_H
#define METERLINE_SINK_PRIORITY_CLAIMS_H

#include "common/stage.h"

#include <stdbool.h>
#include <stdint.h>

struct priority_claims;

/* interval_s: of the cycle. on_rest: one look is over; claimed: it wrote submissions. From the
 * loop.
 */
struct priority_claims *priority_claims_open(struct stage *stage, const char *database_url,
                                             int64_t interval_s,
                                             void (*on_rest)(void *owner, bool claimed),
                                             void *owner);
/* Begin nothing more. */
void priority_claims_stop(struct priority_claims *p);
bool priority_claims_is_resting(const struct priority_claims *p);
/* closed runs from the loop when it is freed. */
void priority_claims_close(struct priority_claims *p, void (*closed)(void *owner), void *owner);

/* Time between two looks for periods that end. Pure. */
int64_t priority_claims_ends_pause_ms(int64_t interval_s);

#endif
