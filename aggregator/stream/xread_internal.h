/* What the two files of the XREAD tokenizer share: xread.c knows which token comes next,
 * xread_token.c reads one. Nobody else includes this. */
#ifndef METERLINE_XREAD_INTERNAL_H
#define METERLINE_XREAD_INTERNAL_H

#include "aggregator/stream/xread.h"

enum { XREAD_SLACK_BYTES = 32 }; /* of room behind the buffer: see copy_short */

/* Read: x->at is behind it. Waiting: x->at is where it was. */
enum step { STEP_BAD = -1, STEP_WAIT, STEP_ON, STEP_END };

enum step xread_bad(const struct xread *x, struct err *e, const char *what);
void xread_pass(struct xread *x, const char *to); /* the bytes of the buffer up to there */
/* One line with a count, of the type and from least to most; -1 is nil. */
enum step xread_read_count(struct xread *x, char type, int64_t least, int64_t most, int64_t *out,
                           struct err *e);
/* A string of at most 16 KiB that is here to its end, valid until more bytes come. */
enum step xread_read_short(struct xread *x, struct text *text, struct err *e);
/* One string or more of the entry begun last; x->strings_left says how many are missing. */
enum step xread_read_strings(struct xread *x, struct err *e);

#endif
