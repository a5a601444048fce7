/* Lines of a file or pipe. A last line needs no newline; CRLF and a byte order mark at the
 * beginning are taken off; a line that is too long is passed over, not kept. */
#ifndef METERLINE_EMITTER_LINE_READER_H
#define METERLINE_EMITTER_LINE_READER_H

#include "common/err.h"
#include "emitter/slice.h"

#include <stdint.h>

enum { LINE_MAX_BYTES = 1 << 20 };

struct line_reader; /* opaque */

enum line_state {
    LINE_READ,     /* a line */
    LINE_TOO_LONG, /* a line of more than LINE_MAX_BYTES */
    LINE_WAIT,     /* nothing is there now; the next call waits */
    LINE_END,
    LINE_FAILED /* with e; also when a signal came while it waited: ERR_CANCELED */
};

/* fd stays the caller's. */
struct line_reader *line_reader_new(int fd);
void line_reader_free(struct line_reader *r);

/* The next line, valid until the next call. Waits only in a call right after one that gave
 * LINE_WAIT, so that the caller can finish what it holds first. */
enum line_state line_reader_next(struct line_reader *r, struct slice *line, struct err *e);

/* The number of the line last given, from 1. */
uint64_t line_reader_number(const struct line_reader *r);

#endif
