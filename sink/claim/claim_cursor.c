/* Where a run of claims has come to. */
#include "sink/claim/claim_cursor.h"

#include "common/str.h"

#include <stdlib.h>

void claim_place_set(struct claim_place *p, const struct claim_key *key)
{
    struct claim_place fresh = {xstrdup(key->tenant), xstrdup(key->metric), key->period_start_us};
    claim_place_done(p);
    *p = fresh;
}

void claim_place_reset(struct claim_place *p)
{
    const struct claim_key before_all = {"", "", INT64_MIN}; /* -infinity */
    claim_place_set(p, &before_all);
}

struct claim_key claim_place_key(const struct claim_place *p)
{
    return (struct claim_key){p->tenant, p->metric, p->period_start_us};
}

void claim_place_done(struct claim_place *p)
{
    free(p->tenant);
    free(p->metric);
}
