/* The rows of a statement as CSV (RFC 4180), one after the other, so that memory does not grow with
 * them. */
#ifndef METERLINE_CTL_CSV_ROWS_H
#define METERLINE_CTL_CSV_ROWS_H

#include "common/err.h"

#include <libpq-fe.h>
#include <stddef.h>
#include <stdint.h>

struct csv_table {
    const char *name;           /* "mrr": of the file mrr.csv */
    const char *const *columns; /* as many as the statement has; NULL ends them */
    const char *sql;
};

enum { CSV_MOST_COLUMNS = 20 };

/* Rollups, as `meterctl rollup` makes them; a table without a name ends them. Parameter: up to
 * when, or NULL. */
extern const struct csv_table CSV_ROLLUPS[];

/* Takes length bytes. Returns 0, or -1 with e: then it is not called again. */
typedef int (*csv_write_fn)(void *owner, const char *data, size_t length, struct err *e);

/* A line with the names of the columns, and one for each row; SQL NULL is an empty field. In a
 * transaction of the caller's. rows: how many were written. Returns 0, or -1 with e. */
int csv_write_rows(PGconn *conn, const struct csv_table *table, int n, const char *const *values,
                   csv_write_fn write, void *owner, int64_t *rows, struct err *e);

#endif
