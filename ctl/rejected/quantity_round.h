/* Quantities as programs print their floats, such as 0.30000000000000004 and 1e-7, to what the
 * stream allows. By the digits of the text: exact. Pure. */
#ifndef METERLINE_CTL_QUANTITY_ROUND_H
#define METERLINE_CTL_QUANTITY_ROUND_H

#include <stddef.h>

enum { QUANTITY_TEXT_SIZE = 32, QUANTITY_DECIMALS_MAX = 9 };

/* text: -?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?, length bytes. To decimals (0 to 9) places, half away
 * from zero, as PostgreSQL rounds numeric: 0.5 becomes 1, -0.5 becomes -1, at 0 places. No trailing
 * zeros; "0" for what rounds to nothing. Returns 0, or -1: not of that form, or of more than 18
 * digits before the point. */
int quantity_round(const char *text, size_t length, int decimals, char out[QUANTITY_TEXT_SIZE]);

#endif
