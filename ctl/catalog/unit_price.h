/* The price of one unit from a price per so many units, exactly. Pure. */
#ifndef METERLINE_CTL_UNIT_PRICE_H
#define METERLINE_CTL_UNIT_PRICE_H

#include "common/dec.h"

#define UNIT_PRICE_TEXT_SIZE 32

/* amount / per as the text of a numeric(24,12), without trailing zeros. amount: minor units, from
 * 0; per: units, above 0; both from dec_parse_quantity. Returns 0, or -1 if it takes more than 12
 * digits behind the point or before it. */
int unit_price(struct dec amount, struct dec per, char out[UNIT_PRICE_TEXT_SIZE]);

#endif
