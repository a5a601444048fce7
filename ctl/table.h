/* Findings as a table for people. */
#ifndef METERLINE_CTL_TABLE_H
#define METERLINE_CTL_TABLE_H

#include <jansson.h>

/* A title, the names that any finding has as columns, and a row for each finding; numbers to the
 * right,
 * "-" where a finding lacks a name. Nothing for an empty list. */
void table_print(const char *title, json_t *findings);

/* The same with just these names; NULL ends them. */
void table_print_columns(const char *title, const json_t *findings, const char *const *names);

#endif
