/* A status report for people. */
#ifndef METERLINE_CTL_STATUS_VIEW_H
#define METERLINE_CTL_STATUS_VIEW_H

#include "common/str.h"

#include <jansson.h>

/* All of it, appended to out; every section and column is there, whatever it holds. width: of the
 * tables, 0 for as wide as they need to be. */
void status_view_add(struct buf *out, const json_t *report, int width);

/* One section, its name in the head line; malloc'd. list: one of the report's. */
char *status_view_section(const char *list, const json_t *report, int width);

#endif
