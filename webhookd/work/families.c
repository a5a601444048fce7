#include "webhookd/work/families.h"

#include <string.h>

static bool is_of(const struct family *family, const char *type)
{
    size_t length = strlen(family->prefix);
    if (strncmp(type, family->prefix, length) != 0)
        return false;
    for (const char *const *end = family->ends; *end; end++)
        if (!strcmp(type + length, *end))
            return true;
    return false;
}

const struct family *family_of(const char *type)
{
    static const struct family *const FAMILIES[] = {&CUSTOMER_FAMILY, &SUBSCRIPTION_FAMILY,
                                                    &INVOICE_FAMILY, &METER_REPORT_FAMILY};
    for (size_t i = 0; i < sizeof FAMILIES / sizeof *FAMILIES; i++)
        if (is_of(FAMILIES[i], type))
            return FAMILIES[i];
    return NULL;
}
