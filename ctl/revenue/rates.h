/* Currencies that somebody typed. */
#ifndef METERLINE_CTL_RATES_H
#define METERLINE_CTL_RATES_H

/* Three small letters, as Stripe writes currencies; text NULL is right. Returns 0, or -1 after
 * telling that `name` is not. */
int rates_check_currency(const char *name, const char *text);

#endif
