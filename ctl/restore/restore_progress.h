/* How far `restore accept` has come, for a person who waits. Pure, except restore_progress_show. */
#ifndef METERLINE_CTL_RESTORE_PROGRESS_H
#define METERLINE_CTL_RESTORE_PROGRESS_H

#include "common/str.h"

#include <stdbool.h>
#include <stdint.h>

struct restore_progress {
    int64_t total;
    int64_t done;       /* of total … */
    int64_t done_first; /* … those that an earlier run had done */
    int64_t elapsed_ms; /* of this run */
};

/* How long the rest will take, ms; -1: not known yet. */
int64_t restore_progress_left_ms(const struct restore_progress *p);
/* One line without its end; bar: with one, for a terminal. */
void restore_progress_add(struct buf *out, const struct restore_progress *p, bool bar);

/* Print it on stderr; on a terminal it replaces the line before. last: the line stays. */
void restore_progress_show(const struct restore_progress *p, bool last);

#endif
