/* What the files of the XREAD tokenizer share: xread.c (which token comes next), xread_token.c (one
 * token), xread_strings.c (names and values). Nobody else includes this. */
#ifndef METERLINE_XREAD_INTERNAL_H
#define METERLINE_XREAD_INTERNAL_H

#include "aggregator/stream/xread.h"

enum {
    XREAD_LARGE_BYTES = 16 << 10, /* a longer string is read straight into the entries */
    XREAD_SLACK_BYTES = 32        /* of room behind the buffer: see copy_short */
};
/* No entry of Redis' is larger: t_stream.c, STREAM_LISTPACK_MAX_SIZE. */
#define XREAD_STRING_MAX ((int64_t)1 << 30)

/* Taken: x->at is behind it. Waiting: x->at is where it was. */
enum step { STEP_BAD = -1, STEP_WAIT, STEP_ON, STEP_END };

static inline bool xread_is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

static inline bool xread_is_line_end(const char *at)
{
    return at[0] == '\r' && at[1] == '\n';
}

/* xread_token.c */
enum step xread_bad(const struct xread *x, struct err *e, const char *what);
void xread_pass(struct xread *x, const char *to); /* the bytes of the buffer up to there */
/* One line with a count, of the type and from least to most; -1 is nil. */
enum step xread_take_count(struct xread *x, char type, int64_t least, int64_t most, int64_t *out,
                           struct err *e);
/* The length of a string, unless it was taken before. */
enum step xread_take_length(struct xread *x, int64_t most, struct err *e);
/* The line end of a string, of which x->at is behind the last byte. */
enum step xread_take_string_end(struct xread *x, struct err *e);
/* A string of at most XREAD_LARGE_BYTES that is here to its end, valid until more bytes come. */
enum step xread_take_short(struct xread *x, struct text *text, struct err *e);

/* xread_strings.c */
/* One string or more of the entry begun last; x->strings_left says how many are missing. */
enum step xread_take_strings(struct xread *x, struct err *e);

#endif
