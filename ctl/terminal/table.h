/* Findings as a table for people. A character is taken for one column wide. */
#ifndef METERLINE_CTL_TABLE_H
#define METERLINE_CTL_TABLE_H

#include "common/str.h"

#include <jansson.h>
#include <stdbool.h>

enum table_kind {
    TABLE_NUMBER, /* to the right, never cut */
    TABLE_TEXT,   /* never cut: states, times */
    TABLE_NAME,   /* cut in the middle where the table is too wide: identifiers, tenants */
    TABLE_NOTE    /* cut at its end: texts for people */
};

struct table_column {
    const char *name; /* of the findings; NULL ends the columns */
    enum table_kind kind;
};

/* How wide a table on standard output may be: as wide as the terminal, at least 80. 0: as wide
 * as it needs to be, because of --wide or because it is no terminal. */
int table_width(bool wide);

struct table_look {
    const char *indent; /* before each line */
    const char *first;  /* the first column's head; NULL: its name */
    int width;          /* with the indent; 0: as wide as it needs to be */
};

/* A head line with the columns' names and a line for each finding, "-" where one lacks a name,
 * appended to out. Numbers and times are never cut, so that a table of many may still be wider than
 * its look wants. */
void table_add(struct buf *out, const json_t *findings, const struct table_column *columns,
               struct table_look look);

/* A title, the table, an empty line; nothing for no findings. */
void table_print(const char *title, const json_t *findings, const struct table_column *columns,
                 bool wide);

/* What a list command shows: JSON, or a table, or that there is nothing. */
struct table_view {
    const char *title;
    const char *none; /* what to say in place of an empty table */
    const struct table_column *columns;
    bool wide;
};
void table_show(json_t *rows, bool json, struct table_view view);

/* The text of a cell. Pure. */

/* Where a text that does not fit is cut; a … takes the place of what is left out. */
enum cell_cut { CELL_MIDDLE, CELL_END };

/* What a value looks like, appended to out: "-" for none or an empty text; control characters,
 * which could lead the terminal astray, as "?". */
void cell_add_value(struct buf *out, const json_t *value);

/* Characters of UTF-8 text. */
int cell_width(const char *text);

/* The text, cut to at most width characters (at least 3). */
void cell_add_cut(struct buf *out, const char *text, int width, enum cell_cut cut);

#endif
