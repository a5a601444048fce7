/* The metrics that events may name, from a catalog's file. */
#ifndef METERLINE_EMITTER_METRIC_NAMES_H
#define METERLINE_EMITTER_METRIC_NAMES_H

#include "common/err.h"
#include "emitter/slice.h"

struct metric_names;

/* Names of the file's metrics that are not derived. The caller's to free; NULL with e. The file is
 * not checked beyond that: `meterctl catalog apply` does. */
struct metric_names *metric_names_load(const char *file, struct err *e);
void metric_names_free(struct metric_names *m); /* NULL is fine */
bool metric_names_has(const struct metric_names *m, struct slice name);

#endif
