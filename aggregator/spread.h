/* How many streams each of several processes has: as evenly as whole numbers go. Pure. */
#ifndef METERLINE_SPREAD_H
#define METERLINE_SPREAD_H

#include <stdint.h>

/* The share of the process that `older` of the `running` ones joined before. The shares of all of
 * them add up to shards, and one more that joins takes from others without giving to any. */
int64_t spread_share(int64_t shards, int64_t running, int64_t older);

/* Where that process looks first for a free stream, from 0 to shards - 1: each one elsewhere, so
 * that two seldom ask for the same. */
int64_t spread_start(int64_t shards, int64_t running, int64_t older);

#endif
