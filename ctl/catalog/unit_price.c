/* The price of one unit from a price per so many units, exactly. */
#include "ctl/catalog/unit_price.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PRICE_UNIT 1000000000000LL /* one, with the twelve digits of a unit price */

static dec_int greatest_common_divisor(dec_int a, dec_int b)
{
    while (b != 0) {
        dec_int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static void format_price(dec_int scaled, char out[UNIT_PRICE_TEXT_SIZE])
{
    int64_t whole = (int64_t)(scaled / PRICE_UNIT);
    int64_t part = (int64_t)(scaled % PRICE_UNIT);
    int length = snprintf(out, UNIT_PRICE_TEXT_SIZE, "%" PRId64 ".%012" PRId64, whole, part);

    while (out[length - 1] == '0')
        out[--length] = '\0';
    if (out[length - 1] == '.')
        out[length - 1] = '\0';
}

/* In lowest terms amount / per ends within twelve digits just if per divides 10^12. */
int unit_price(struct dec amount, struct dec per, char out[UNIT_PRICE_TEXT_SIZE])
{
    assert(per.scaled > 0);
    dec_int divisor = greatest_common_divisor(amount.scaled, per.scaled);
    dec_int over = amount.scaled / divisor;
    dec_int under = per.scaled / divisor;

    if (PRICE_UNIT % under != 0)
        return -1;
    dec_int factor = PRICE_UNIT / under;
    if (over > ((dec_int)PRICE_UNIT * PRICE_UNIT - 1) / factor)
        return -1;
    format_price(over * factor, out);
    return 0;
}
