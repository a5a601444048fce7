/* The text of a table's cell on a terminal. Pure. A character is taken for one column wide. */
#ifndef METERLINE_CTL_CELL_H
#define METERLINE_CTL_CELL_H

#include "common/str.h"

#include <jansson.h>

/* Where what does not fit is left out, for a … in its place. */
enum cell_cut { CELL_MIDDLE, CELL_END };

/* What a value looks like, appended to out: "-" for none or an empty text; control characters,
 * which could lead the terminal astray, as "?". */
void cell_add_value(struct buf *out, const json_t *value);

/* Characters of UTF-8 text. */
int cell_width(const char *text);

/* The text, cut to at most width characters (at least 3). */
void cell_add_cut(struct buf *out, const char *text, int width, enum cell_cut cut);

#endif
