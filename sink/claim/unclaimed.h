/* What is counted and in no submission, as a metric. */
#ifndef METERLINE_SINK_UNCLAIMED_H
#define METERLINE_SINK_UNCLAIMED_H

#include <libpq-fe.h>

/* The result of count_unclaimed.sql. What was told before and is not in it is 0 from now on. */
void unclaimed_export(const PGresult *rows);

#endif
