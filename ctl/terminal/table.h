/* Findings as a table for people. */
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

/* How wide a table on standard output may be: as the terminal is, at least 80. 0: as it needs to
 * be, since it is no terminal, or since that is what --wide asks for. */
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

#endif
