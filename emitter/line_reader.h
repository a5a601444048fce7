/* Reads a file or pipe line by line. The last line needs no newline. CR before a newline and a byte
 * order mark at the beginning are removed. A line that is too long is skipped. */
#ifndef METERLINE_EMITTER_LINE_READER_H
#define METERLINE_EMITTER_LINE_READER_H

#include "common/err.h"
#include "common/events/slice.h"

#include <stdint.h>

enum { LINE_MAX_BYTES = 1 << 20 };

struct line_reader;

enum line_state {
    LINE_READ,     /* a line */
    LINE_TOO_LONG, /* a line of more than LINE_MAX_BYTES */
    LINE_WAIT,     /* no input now; the next call waits for it */
    LINE_END,
    LINE_FAILED /* with e; ERR_CANCELED: a signal came while it waited */
};

/* fd: borrowed. */
struct line_reader *line_reader_new(int fd);
void line_reader_free(struct line_reader *r);

/* The next line, valid until the next call. It waits for input only right after it returned
 * LINE_WAIT, so that the caller can first finish what it has. */
enum line_state line_reader_next(struct line_reader *r, struct slice *line, struct err *e);

/* The number of the last line, from 1. */
uint64_t line_reader_number(const struct line_reader *r);

#endif
