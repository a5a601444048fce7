#include "aggregator/spread.h"

int64_t spread_share(int64_t shards, int64_t running, int64_t older)
{
    if (running <= 0)
        return 0;
    return shards / running + (older < shards % running ? 1 : 0);
}

int64_t spread_start(int64_t shards, int64_t running, int64_t older)
{
    return running > 0 && older < running ? older * shards / running : 0;
}
