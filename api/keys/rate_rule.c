#include "api/keys/rate_rule.h"

enum { SECOND_US = 1000000 };

int64_t rate_take(struct rate_bucket *b, int64_t now_us, int64_t per_s)
{
    int64_t cost_us = SECOND_US / per_s;
    int64_t passed_us = now_us - b->since_us;
    b->used_us = passed_us >= b->used_us ? 0 : b->used_us - passed_us;
    b->since_us = now_us;
    if (b->used_us + cost_us > SECOND_US)
        return b->used_us + cost_us - SECOND_US;
    b->used_us += cost_us;
    return 0;
}
