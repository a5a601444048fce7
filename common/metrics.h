/* A small registry of metrics for Prometheus, printed in its text exposition format 0.0.4
 * (prometheus.io/docs/instrumenting/exposition_formats).
 *
 * Values are integers. A series in seconds is kept in milliseconds or microseconds (enum
 * metric_unit) and printed with its decimal point. Loop thread only. Stages do not name series
 * here: they take them from metric_table.h. */
#ifndef METERLINE_METRICS_H
#define METERLINE_METRICS_H

#include "common/str.h"

#include <stdint.h>

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };
enum metric_unit { METRIC_PLAIN, METRIC_MS_AS_SECONDS, METRIC_US_AS_SECONDS };

struct metric; /* one series; lives until metrics_done */

/* The series of that name and labels, made at the first call, and then 0. name and help: static
 * text. labels: "" or `outcome="counted"`, values already escaped; copied. Series of one name share
 * type, unit and help. Look a series up once and keep the pointer where it is hot. */
struct metric *metric_get(const char *name, const char *labels, const char *help,
                          enum metric_type type, enum metric_unit unit);

void metric_add(struct metric *m, int64_t n);
void metric_set(struct metric *m, int64_t value);
int64_t metric_value(const struct metric *m);
/* METRIC_HISTOGRAM: buckets from 1 ms to 60 s; value in the metric's unit. */
void metric_observe(struct metric *m, int64_t value);

/* All series, appended to out. */
void metrics_print(struct buf *out);
/* Sets every series of that name to 0. */
void metrics_zero(const char *name);
/* Forget every series of that name. */
void metrics_drop(const char *name);
/* Forget every series that has exactly these labels, such as those of a stream that another process
 * reads now. */
void metrics_forget(const char *labels);
/* Forget every series (tests, shutdown). */
void metrics_done(void);

#endif
