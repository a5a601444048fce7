/* Planning the change of a subscription: what it has now and what is wished become the parameters
 * of Stripe's calls. Pure.
 *
 * All items change in one call: the fee's item and that of each metric get the new price by their
 * ids, what the new plan lacks is deleted, what the old one lacked is added. An item without an id
 * would be added beside the old one and billed twice (docs.stripe.com/api/subscriptions/update).
 * Licensed items that belong to no plan were put there by somebody else, and stay.
 *
 *      wish                                       what is done
 *      a plan or seats that cost more             at once, with proration
 *      … that cost less                           at the period's end, by a schedule
 *      a longer interval (month to year)          at once: Stripe begins a new period
 *      a shorter one                              at the period's end
 *      anything, in a trial                       at once: nothing was paid for
 *      fees that cannot be compared (tiers)       at once
 *      as asked (`when`)                          as asked
 *      what it has already                        nothing, and a schedule is released */
#ifndef METERLINE_API_PLAN_CHANGE_H
#define METERLINE_API_PLAN_CHANGE_H

#include "api/billing/offer.h"
#include "common/stripe/stripe_form.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum change_when { WHEN_FITTING, WHEN_NOW, WHEN_PERIOD_END };

struct change_wish {
    const struct offer *target;
    int64_t seats; /* quantity of the fee; 0: as it is */
    enum change_when when;
    const char *proration; /* create_prorations, always_invoice, none */
    const char *version;   /* Stripe-Version */
    const char *tenant;
};

enum change_kind {
    CHANGE_NOTHING,
    CHANGE_NOW,
    CHANGE_LATER,   /* by a schedule */
    CHANGE_CURRENCY /* impossible: the plan is sold in another currency than the subscription's */
};

/* subscription: Stripe's object. known: {"<price id>": "<plan>"}, prices that are or were a plan's;
 * a price whose metadata name a plan is one as well. */
enum change_kind plan_change_decide(const json_t *subscription, const json_t *known,
                                    const struct change_wish *wish);

/* The parameters of POST /v1/subscriptions/{id}. */
void plan_change_now(struct stripe_form *f, const json_t *subscription, const json_t *known,
                     const struct change_wish *wish);
/* Those of POST /v1/subscription_schedules/{id}. schedule: as Stripe made it of the subscription,
 * or as it is. Returns -1 if it has no phase that runs now. */
int plan_change_later(struct stripe_form *f, const json_t *schedule, const json_t *subscription,
                      const json_t *known, const struct change_wish *wish);

/* The same for a schedule that was made anew: it gets the phases that another one, which was
 * released, had before it from now on. */
int plan_change_restore(struct stripe_form *f, const json_t *made, const json_t *released,
                        const char *version);

/* The item that is the plan's fee, of Stripe's object; NULL: none. */
const json_t *plan_change_fee_item(const json_t *subscription, const json_t *known);
/* Unix seconds: the end of what was paid for, which is the fee's period; 0: not known. */
int64_t plan_change_period_end(const json_t *subscription, const json_t *known);
/* Of a price: the plan that it belongs to; NULL: none. Borrowed. */
const char *plan_change_plan_of(const json_t *price, const json_t *known);

#endif
