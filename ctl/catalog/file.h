/* A whole file in memory. */
#ifndef METERLINE_CTL_FILE_H
#define METERLINE_CTL_FILE_H

#include "common/err.h"
#include "common/str.h"

/* Append the file's bytes to out, at most 16 MiB. "-" is standard input. Returns 0, or -1 with e.
 */
int file_read(const char *name, struct buf *out, struct err *e);

#endif
