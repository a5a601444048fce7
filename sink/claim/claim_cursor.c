/* Where a run of claims has come to. */
#include "sink/claim/claim_cursor.h"

#include "common/str.h"

#include <stdlib.h>

void claim_cursor_set(struct claim_cursor *p, const struct claim_key *key)
{
    struct claim_cursor fresh = {xstrdup(key->tenant), xstrdup(key->metric), key->period_start_us};
    claim_cursor_done(p);
    *p = fresh;
}

void claim_cursor_reset(struct claim_cursor *p)
{
    const struct claim_key before_all = {"", "", INT64_MIN}; /* -infinity */
    claim_cursor_set(p, &before_all);
}

struct claim_key claim_cursor_key(const struct claim_cursor *p)
{
    return (struct claim_key){p->tenant, p->metric, p->period_start_us};
}

void claim_cursor_done(struct claim_cursor *p)
{
    free(p->tenant);
    free(p->metric);
}
