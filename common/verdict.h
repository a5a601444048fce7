/* The verdict: may a tenant use so much more of a metric? One rule, which also stands in Lua
 * (webhookd/lua/verdict.lua, for Redis) and in SQL (deploy/functions/decide_quota.sql). One table
 * of cases tests all three: tests/verdicts.csv. Pure. */
#ifndef METERLINE_VERDICT_H
#define METERLINE_VERDICT_H

#include "common/dec.h"

#include <stdbool.h>
#include <stdint.h>

enum quota_status { QUOTA_ACTIVE, QUOTA_GRACE, QUOTA_BLOCKED };
enum quota_cap { CAP_NONE, CAP_SOFT, CAP_HARD };

/* What the quota cache says of a tenant's metric. */
struct quota_state {
    enum quota_status status;
    bool has_limit;         /* false: the metric is not in the catalog */
    bool unlimited;         /* then limit says nothing */
    struct dec limit;       /* how much the plan includes */
    enum quota_cap cap;     /* what happens beyond it */
    int64_t grace_until_ms; /* Unix; a hard cap is told, not kept, until then; 0: none */
    struct dec used;        /* in the limit's current window */
    struct dec held;        /* reserved, and not in used yet */
};

enum verdict { VERDICT_ALLOW, VERDICT_ALLOW_OVER, VERDICT_DENY };
enum verdict_reason {
    VERDICT_OK,
    VERDICT_SOFT_CAP,
    VERDICT_HARD_CAP,
    VERDICT_BLOCKED,
    VERDICT_IN_GRACE,
    VERDICT_UNKNOWN_METRIC
};

/* quantity: at least 0; 0 asks whether the tenant is within its limit. now_ms: Unix. */
enum verdict verdict_of(const struct quota_state *q, struct dec quantity, int64_t now_ms,
                        enum verdict_reason *reason);

/* As the quota cache, Lua and SQL write them: "allow_over", "soft_cap", … */
const char *verdict_name(enum verdict verdict);
const char *verdict_reason_name(enum verdict_reason reason);

#endif
