/* A status report for people. Pure. */
#ifndef METERLINE_CTL_STATUS_VIEW_H
#define METERLINE_CTL_STATUS_VIEW_H

#include "common/str.h"

#include <jansson.h>

/* All of it, appended to out; every section and column is there, whatever it holds. width: of the
 * tables, 0 for as wide as they need to be. */
void status_view_add(struct buf *out, const json_t *report, int width);

/* At most so many lines of so many characters, with newlines between them. First the time and the
 * peers, then the sections without room between them. Where they do not fit, each gets a share, the
 * first ones more, and the last line tells what is left out. */
void screen_add(struct buf *out, const json_t *report, const char *time, int lines, int columns);

#endif
