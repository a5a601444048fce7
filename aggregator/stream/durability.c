#include "aggregator/stream/durability.h"

#include <stddef.h>

const char *durability_fault(const struct history *h, bool allow_volatile)
{
    if (!h->config_known || allow_volatile)
        return NULL;
    if (h->evicts)
        return "it evicts keys when memory is full: set maxmemory-policy noeviction, or "
               "METERLINE_ALLOW_VOLATILE_REDIS=1";
    if (!h->append_only)
        return "it has no append-only file: set appendonly yes, or "
               "METERLINE_ALLOW_VOLATILE_REDIS=1";
    return NULL;
}
