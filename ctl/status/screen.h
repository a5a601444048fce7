/* A status report on one screen of a terminal. Pure. */
#ifndef METERLINE_CTL_SCREEN_H
#define METERLINE_CTL_SCREEN_H

#include "common/str.h"

#include <jansson.h>

/* At most so many lines of so many characters, with newlines between them. First the time and the
 * peers, then the sections without room between them. Where they do not fit, each gets a share, the
 * first ones more, and the last line tells what is left out. */
void screen_add(struct buf *out, const json_t *report, const char *time, int lines, int columns);

#endif
