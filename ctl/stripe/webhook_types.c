#include "ctl/stripe/webhook_types.h"

#include "common/stripe/objects/observation.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Types that not every version knows, by the first one that does. Stripe refuses others. NULL: no
 * endpoint can ask for it; only event destinations can. */
static const struct {
    const char *type;
    const char *since;
} SINCE[] = {
    {"invoiceitem.updated", NULL},
    {"invoice.overpaid", "2025-03-31"},
    {"invoice.payment_attempt_required", "2026-10-28"},
    {"invoice_payment.paid", "2025-03-31"},
    {"invoice_payment.open", NULL},
    {"invoice_payment.canceled", NULL},
    {"invoice_payment.detached", NULL},
    {"refund.failed", "2025-03-31"},
};

static bool is_known(const char *type, const char *version)
{
    for (size_t i = 0; i < sizeof SINCE / sizeof *SINCE; i++)
        if (strcmp(type, SINCE[i].type) == 0)
            return SINCE[i].since && strcmp(version, SINCE[i].since) >= 0;
    return true;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

enum { TYPES_MAX = 256 };

json_t *webhook_types(const char *version)
{
    const char *types[TYPES_MAX] = {NULL};
    size_t n = 0;
    json_t *list = json_array();
    for (const struct object_kind *const *kind = OBJECT_KINDS; *kind; kind++)
        for (const char *const *type = (*kind)->types; *type; type++)
            if (is_known(*type, version)) {
                assert(n < TYPES_MAX);
                types[n++] = *type;
            }
    qsort(types, n, sizeof *types, compare);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(types[i - 1], types[i]) != 0)
            json_array_append_new(list, json_string(types[i]));
    return list;
}
