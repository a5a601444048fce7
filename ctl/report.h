/* Findings that are shown as lines of name=value, or as JSON with the same names. A finding is a
 * JSON object of texts, integers and booleans, in the order in which they are shown. */
#ifndef METERLINE_CTL_REPORT_H
#define METERLINE_CTL_REPORT_H

#include <jansson.h>
#include <libpq-fe.h>

/* The rows of a result as findings, appended to list: whole numbers as integers, booleans as such,
 * times as in report_time, all else as text, what is NULL left out. Names are the columns'. */
void report_add_rows(json_t *list, const PGresult *result);

enum { REPORT_TIME_SIZE = 40 };

/* A timestamptz as PostgreSQL prints it for UTC, "2026-11-21 10:00:00+00", as ISO 8601 has it:
 * "2026-11-21T10:00:00Z". What is none, such as "infinity", stays. Returns out. */
const char *report_time(const char *text, char out[REPORT_TIME_SIZE]);

/* Indented JSON and a newline. */
void report_print_json(const json_t *value);

/* A finding, a line each pair: "quantity      5". Arrays: a line each item, as JSON. */
void report_print_entry(const json_t *finding);

/* "audit total tenant=acme quantity=5": words, then the finding's pairs, values quoted where they
 * need it. */
void report_print_line(const char *words, const json_t *finding);

#endif
