/* The aggregator: one process, and a shard for each stream that it works on. */
#ifndef METERLINE_AGGREGATOR_H
#define METERLINE_AGGREGATOR_H

#include "common/stage.h"

extern const struct stage_spec AGGREGATOR_STAGE;

#endif
