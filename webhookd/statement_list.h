/* A list of statements for one pipeline, with the texts of their parameters. Pure. */
#ifndef METERLINE_SCRIPT_H
#define METERLINE_SCRIPT_H

#include "common/pg/pg.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { SCRIPT_MAX = 16, SCRIPT_MAX_TEXTS = 48 };

/* Zero-initialise. */
struct script {
    struct pg_statement list[SCRIPT_MAX];
    int n;
    char *texts[SCRIPT_MAX_TEXTS]; /* owned */
    int texts_n;
};

/* Append a statement; parameters are added to the last one. sql: static. */
void script_add(struct script *s, const char *sql);
/* text is borrowed until the script is run; NULL is SQL NULL. */
void script_text(struct script *s, const char *text);
void script_i64(struct script *s, int64_t value);
/* SQL NULL if the value is 0. */
void script_i64_or_null(struct script *s, int64_t value);
void script_bool(struct script *s, bool value);
void script_json(struct script *s, const json_t *value);

/* Send it, and forget the texts: libpq has copied them. The script is empty again. */
void script_run(struct script *s, struct pg *pg, uint64_t deadline_ms, pg_done_fn done,
                void *owner);

/* An integer field of a text result; 0 for NULL. */
int64_t result_i64(const PGresult *r, int row, int column);
/* A text field; NULL for SQL NULL. */
const char *result_text(const PGresult *r, int row, int column);

#endif
