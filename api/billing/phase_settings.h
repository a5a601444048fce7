/* What a phase of a schedule has besides the prices: discounts, tax rates, metadata, how it is
 * paid. Pure.
 *
 * Each update of a schedule says its phases whole: what is left out is unset, and of the phase that
 * runs it is taken from the subscription at once (docs.stripe.com/billing/subscriptions/
 * subscription-schedules). So all of it goes along. Discounts are named by the discount where there
 * is one: a coupon would be redeemed anew. */
#ifndef METERLINE_API_PHASE_SETTINGS_H
#define METERLINE_API_PHASE_SETTINGS_H

#include "common/stripe/stripe_form.h"

#include <jansson.h>

/* Items and all: phases[n] is to be as that phase is. Its dates are not added, but its trial's end
 * is. */
void phase_as_is(struct stripe_form *f, const json_t *phase, int n);
/* All but items and dates; plan and tenant, which each phase says itself, are left out of the
 * metadata. */
void phase_settings(struct stripe_form *f, const json_t *phase, int n);
/* phases[n][items][k] gets what is said of that item, of a phase or a subscription; NULL: nothing.
 */
void phase_item_settings(struct stripe_form *f, const json_t *item, int n, int k);

#endif
