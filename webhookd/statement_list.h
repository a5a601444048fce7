/* A list of SQL statements for one pipeline, which owns the texts of their parameters, and how to
 * read a text result. Pure, but for running the list. */
#ifndef METERLINE_WEBHOOKD_STATEMENT_LIST_H
#define METERLINE_WEBHOOKD_STATEMENT_LIST_H

#include "common/pg/pg.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { STATEMENTS_MAX = 72, STATEMENT_TEXTS_MAX = 216 };

/* Zero-initialise. */
struct statement_list {
    struct pg_statement statements[STATEMENTS_MAX];
    int n;
    char *texts[STATEMENT_TEXTS_MAX]; /* owned */
    int texts_n;
};

/* Append a statement. sql: static. */
void statement_list_add(struct statement_list *l, const char *sql);

/* Append a parameter to the last statement. */
void param_text(struct statement_list *l, const char *text); /* borrowed until run; NULL: NULL */
void param_i64(struct statement_list *l, int64_t value);
void param_i64_or_null(struct statement_list *l, int64_t value); /* 0: NULL */
void param_bool(struct statement_list *l, bool value);
void param_json(struct statement_list *l, const json_t *value);

/* Send the list by pg_run and free the texts, which libpq has copied. The list is empty again. */
void statement_list_run(struct statement_list *l, struct pg *pg, uint64_t deadline_ms,
                        pg_done_fn done, void *owner);

/* A field of a text result. */
int64_t result_i64(const PGresult *r, int row, int column);      /* 0 for NULL */
const char *result_text(const PGresult *r, int row, int column); /* NULL for NULL */

#endif
