#include "aggregator/shard/shard_state.h"

static const bool MAY_GO[SHARD_ENDED + 1][SHARD_ENDED + 1] = {
    [SHARD_OFFLINE] = {[SHARD_LEASING] = true, [SHARD_RELEASING] = true, [SHARD_ENDED] = true},
    [SHARD_LEASING] = {[SHARD_OPENING] = true, [SHARD_OFFLINE] = true},
    [SHARD_OPENING] = {[SHARD_LOADING] = true, [SHARD_OFFLINE] = true},
    [SHARD_LOADING] = {[SHARD_RUNNING] = true, [SHARD_OFFLINE] = true},
    [SHARD_RUNNING] = {[SHARD_OFFLINE] = true},
    [SHARD_RELEASING] = {[SHARD_ENDED] = true},
};

bool shard_may_go(enum shard_state from, enum shard_state to)
{
    return MAY_GO[from][to];
}
