/* How Stripe counts money: in whole minor units of a currency. Pure.
 *
 * A currency has as many decimals as ISO 4217 says, with Stripe's exceptions
 * (docs.stripe.com/currencies): MGA has none; ISK and UGX have none, and yet Stripe gives their
 * amounts in hundredths, which must be whole; the last of three decimals must be 0. The function
 * minor_units in SQL says the same. */
#ifndef METERLINE_CURRENCY_H
#define METERLINE_CURRENCY_H

#include "common/str.h"

#include <stdint.h>

/* The decimals of an amount at Stripe: 0, 2 or 3. currency: three letters in any case; one that is
 * not known has 2. */
int currency_digits(const char *currency);

/* What Stripe charges is a multiple of so many minor units: 1, 10 or 100. */
int64_t currency_step(const char *currency);

/* Appends an amount for people: "42.00 EUR", "4200 JPY". */
void currency_add_amount(struct buf *out, int64_t amount_minor, const char *currency);

#endif
