/* Does Redis keep what it acknowledged? Pure. */
#ifndef METERLINE_DURABILITY_H
#define METERLINE_DURABILITY_H

#include "aggregator/shard/history.h"

/* NULL, or why this Redis must not be used: static. allow_volatile: it may lose entries. */
const char *durability_fault(const struct history *h, bool allow_volatile);

#endif
