/* The functions that services call on the quota cache: meterline_check, meterline_reserve,
 * meterline_settle (webhookd/lua), one library of Redis Functions in every server that the cache
 * lies on. The limits of the plan free are part of it, for tenants that have no hash.
 *
 * Each second every master is asked which library it has, so that FUNCTION FLUSH, a failover, an
 * empty server or a cluster that grows costs a second. Of several webhookds, the one with the newer
 * program and catalog writes it. */
#ifndef METERLINE_QUOTA_LIBRARY_H
#define METERLINE_QUOTA_LIBRARY_H

#include "common/redis/redis.h"

struct context;
struct quota_library; /* opaque */

struct quota_library *quota_library_open(const struct context *context);
/* When Redis is closed. Frees it, from the loop. */
void quota_library_close(struct quota_library *l);

/* The limits of the plan free, by that ledger and version of the catalog: then it can be loaded. */
struct free_limit {
    const char *metric;
    const char *limit; /* a decimal, or unlimited */
    const char *cap;
};
void quota_library_set_free(struct quota_library *l, const char *ledger,
                            const char *catalog_version, const struct free_limit *limits, int n);

/* This connection to a master is up: load the library, unless the server has it. */
void quota_library_see_node(struct quota_library *l, struct redis *node);

#endif
