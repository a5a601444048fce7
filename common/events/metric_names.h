/* The metrics that events may name, read from a catalog file for --catalog. */
#ifndef METERLINE_METRIC_NAMES_H
#define METERLINE_METRIC_NAMES_H

#include "common/err.h"
#include "common/events/slice.h"

struct metric_names;

/* All metrics of the file but derived ones. Returns NULL with e. Nothing else of the file is
 * checked: `meterctl catalog apply` does that. */
struct metric_names *metric_names_load(const char *file, struct err *e);
void metric_names_free(struct metric_names *m); /* NULL is fine */
bool metric_names_has(const struct metric_names *m, struct slice name);

#endif
