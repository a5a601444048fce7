/* The quota cache after `meterctl stream adopt`. */
#ifndef METERLINE_CTL_QUOTA_FORGET_H
#define METERLINE_CTL_QUOTA_FORGET_H

#include "common/err.h"

#include <stdint.h>

/* Delete all hashes of the quota cache that ledgers left which `ledger` ("<takeovers>:<ledger_id>")
 * took over, on every master of a cluster; *count: how many. Returns 0 or -1 with e; it may be done
 * again. */
int quota_forget_others(const char *redis_url, const char *ledger, int64_t *count, struct err *e);

#endif
