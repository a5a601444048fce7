/* What an entry says, in 64 bits: by it one that is read again is told from another one to which
 * Redis gave the id of an entry that it lost. Kept in the ledger, so it never changes: SipHash-2-4
 * without a key over each name and value in the entry's order, each with its length. */
#ifndef METERLINE_ENTRY_CONTENT_H
#define METERLINE_ENTRY_CONTENT_H

#include "aggregator/stream/entries.h"

#include <stdint.h>

int64_t entry_content(const struct entries *entries, uint32_t index);

#endif
