/* Findings that are shown as lines of name=value, or as JSON with the same names. A finding is a
 * JSON object of texts, integers and booleans, in the order in which they are shown. */
#ifndef METERLINE_CTL_REPORT_H
#define METERLINE_CTL_REPORT_H

#include "common/err.h"
#include "common/str.h"

#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>

/* Run one statement with n parameters and append its rows to list as findings: whole numbers as
 * integers, booleans as such, times as in report_time, everything else as text; what is NULL is
 * left out. Names are the columns'. Returns 0, or -1 with e. */
int report_query(json_t *list, PGconn *conn, const char *sql, int n, const char *const *values,
                 struct err *e);

enum { REPORT_TIME_SIZE = 40 };

/* A timestamptz as PostgreSQL prints it for UTC, "2026-11-21 10:00:00+00", as ISO 8601 has it:
 * "2026-11-21T10:00:00Z". What is none, such as "infinity", stays. Returns out. */
const char *report_time(const char *text, char out[REPORT_TIME_SIZE]);

/* The finding of a list whose member `name`, a text, is this one; or NULL. list may be NULL. */
json_t *report_find(const json_t *list, const char *name, const char *text);

/* Indented JSON and a newline. */
void report_print_json(const json_t *value);

/* A finding, a line each pair: "quantity      5". Arrays: a line each item, as JSON. */
void report_print_entry(const json_t *finding);

/* "audit total tenant=acme quantity=5": words, then the finding's pairs, values quoted where they
 * need it. */
void report_print_line(const char *words, const json_t *finding);
/* The same for each of a list. */
void report_print_lines(const char *words, const json_t *list);

/* Lines for programs, appended to out. */
struct report_column {
    const char *name;
    bool is_json; /* its text is JSON already: an object, true or false */
};

/* One JSON object and a newline. values: as many as columns, none NULL. */
void report_add_ndjson(struct buf *out, const struct report_column *columns, int count,
                       const char *const *values);

/* RFC 4180: fields with a comma, a quote or a line break in quotes, quotes doubled; CRLF. */
void report_add_csv(struct buf *out, int count, const char *const *values);

#endif
