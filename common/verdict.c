#include "common/verdict.h"

/* A sum beyond 38 digits is beyond any limit, too. */
static bool is_within(const struct quota_state *q, struct dec quantity)
{
    struct dec sum;
    return dec_add(q->used, q->held, &sum) == 0 && dec_add(sum, quantity, &sum) == 0 &&
           dec_cmp(sum, q->limit) <= 0;
}

enum verdict verdict_of(const struct quota_state *q, struct dec quantity, int64_t now_ms,
                        enum verdict_reason *reason)
{
    if (q->status == QUOTA_BLOCKED) {
        *reason = VERDICT_BLOCKED;
        return VERDICT_DENY;
    }
    if (!q->has_limit) {
        *reason = VERDICT_UNKNOWN_METRIC;
        return VERDICT_DENY;
    }
    if (q->unlimited || q->cap == CAP_NONE || is_within(q, quantity)) {
        *reason = q->status == QUOTA_GRACE ? VERDICT_IN_GRACE : VERDICT_OK;
        return VERDICT_ALLOW;
    }
    if (q->cap == CAP_SOFT || now_ms < q->grace_until_ms) {
        *reason = q->cap == CAP_SOFT ? VERDICT_SOFT_CAP : VERDICT_IN_GRACE;
        return VERDICT_ALLOW_OVER;
    }
    *reason = VERDICT_HARD_CAP;
    return VERDICT_DENY;
}

const char *verdict_name(enum verdict verdict)
{
    static const char *const NAMES[] = {"allow", "allow_over", "deny"};
    return NAMES[verdict];
}

const char *verdict_reason_name(enum verdict_reason reason)
{
    static const char *const NAMES[] = {"ok",      "soft_cap", "hard_cap",
                                        "blocked", "grace",    "unknown_metric"};
    return NAMES[reason];
}
