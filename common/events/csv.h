/* CSV as RFC 4180 has it: a header names the fields, values may be in quotes, and a quote in quotes
 * is written twice. An empty value is no field. Pure. */
#ifndef METERLINE_CSV_H
#define METERLINE_CSV_H

#include "common/err.h"
#include "common/events/event_line.h"
#include "common/str.h"

enum { CSV_FIELDS_MAX = 64 };

/* Zero-initialise. */
struct csv {
    char *map;                   /* owned: "foreign=ours,…"; NULL: none */
    char *names[CSV_FIELDS_MAX]; /* owned: ours; "": this one is not read */
    enum event_known known[CSV_FIELDS_MAX];
    int count;
    struct buf text; /* of values that had quotes in quotes */
};

/* map: "foreign=ours,foreign=ours", copied; "foreign=": the field is not read. NULL: names are
 * ours. Returns 0, or -1 with e. */
int csv_set_map(struct csv *c, const char *map, struct err *e);
/* The first record. */
int csv_set_header(struct csv *c, struct slice record, struct err *e);
/* Begins event, and gives it the fields of a record, which both live as long as c and the record.
 * Returns 0, or -1 with event->why. */
int csv_read(struct csv *c, struct slice record, struct event_line *event);
void csv_done(struct csv *c);

/* Whether the record goes on in the next line: it ends within quotes. */
bool csv_is_open(struct slice record);
/* Cuts the next record off the text, without its CR and LF. Returns 0 at the end. */
int csv_pop_record(struct slice *text, struct slice *record);

#endif
