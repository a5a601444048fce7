/* A line on stderr that says how far a long command has come. */
#ifndef METERLINE_CTL_PROGRESS_H
#define METERLINE_CTL_PROGRESS_H

#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

/* Is there somebody to see a bar? */
bool progress_is_seen(void);
/* "[####------] ". Pure. total 0: it is full. */
void progress_add_bar(struct buf *out, int64_t done, int64_t total);
/* Print it; on a terminal it replaces the line before. last: the line stays. */
void progress_show(const struct buf *line, bool last);
/* How often it is to be shown. */
int64_t progress_pause_ms(void);

#endif
