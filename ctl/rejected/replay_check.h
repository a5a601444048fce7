/* Whether the aggregator would refuse an entry again, by what stands in it. Pure. */
#ifndef METERLINE_CTL_REPLAY_CHECK_H
#define METERLINE_CTL_REPLAY_CHECK_H

#include "ctl/rejected/replay_entry.h"

#include <stdbool.h>
#include <stddef.h>

/* Is there a metric of this name that events may have? name: length bytes. */
typedef bool (*replay_metric_fn)(const void *metrics, const char *name, size_t length);

/* entry: as it would be sent. Its time is not looked at, see replay_entry_build, nor what is
 * counted: whether a retraction finds its event. Returns why it would be refused, or REPLAY_NONE.
 */
enum replay_obstacle replay_check(const struct replay_entry *entry, replay_metric_fn is_metric,
                                  const void *metrics);

#endif
