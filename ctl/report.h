/* Findings that are shown as lines of name=value, or as JSON with the same names. A finding is a
 * JSON object of texts and integers, in the order in which they are shown. */
#ifndef METERLINE_CTL_REPORT_H
#define METERLINE_CTL_REPORT_H

#include <jansson.h>
#include <libpq-fe.h>

/* The rows of a result as findings, appended to list: whole numbers as integers, all else as text,
 * what is NULL left out. Names are the columns'. */
void report_add_rows(json_t *list, const PGresult *result);

/* "audit total tenant=acme quantity=5": words, then the finding's pairs, values quoted where they
 * need it. */
void report_print_line(const char *words, const json_t *finding);

#endif
