#include "common/currency.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <strings.h>

/* clang-format off */
static const char *const NO_DECIMALS[] = {
    "bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf", NULL};
/* clang-format on */
static const char *const THREE_DECIMALS[] = {"bhd", "jod", "kwd", "omr", "tnd", NULL};
static const char *const WHOLE_HUNDREDS[] = {"isk", "ugx", NULL};

static bool is_listed(const char *const *list, const char *currency)
{
    for (; *list; list++)
        if (strcasecmp(*list, currency) == 0)
            return true;
    return false;
}

int currency_digits(const char *currency)
{
    if (is_listed(NO_DECIMALS, currency))
        return 0;
    return is_listed(THREE_DECIMALS, currency) ? 3 : 2;
}

int64_t currency_step(const char *currency)
{
    if (is_listed(WHOLE_HUNDREDS, currency))
        return 100;
    return is_listed(THREE_DECIMALS, currency) ? 10 : 1;
}

void currency_add_amount(struct buf *out, int64_t amount_minor, const char *currency)
{
    uint64_t amount = amount_minor < 0 ? -(uint64_t)amount_minor : (uint64_t)amount_minor;
    int digits = currency_digits(currency);
    unsigned long long unit = digits == 0 ? 1 : digits == 3 ? 1000 : 100;
    buf_printf(out, "%s%llu", amount_minor < 0 ? "-" : "", amount / unit);
    if (digits > 0)
        buf_printf(out, ".%0*llu", digits, amount % unit);
    buf_add_char(out, ' ');
    for (; *currency; currency++)
        buf_add_char(out, (char)toupper((unsigned char)*currency));
}
