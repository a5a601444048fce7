/* Binary arrays for PostgreSQL (src/backend/utils/adt/arrayfuncs.c, array_recv), one dimension:
 * int32 dimensions, int32 has-nulls, int32 element oid, int32 length, int32 lower bound 1, then for
 * each element int32 length (-1 for NULL) and its bytes, all big endian. Text arrays cost a third
 * more. */
#ifndef METERLINE_PG_ARRAY_H
#define METERLINE_PG_ARRAY_H

#include "common/dec.h"
#include "common/pg/pg.h"
#include "common/str.h"

struct pg_array {
    struct buf bytes;
    unsigned element; /* enum pg_oid of one element */
    int count;
    bool nulls;
};

void pg_array_init(struct pg_array *a, unsigned element_oid);
void pg_array_clear(struct pg_array *a); /* empty, memory kept */
void pg_array_done(struct pg_array *a);
void pg_array_add(struct pg_array *a, const void *data, size_t length);
void pg_array_add_null(struct pg_array *a);
void pg_array_add_i64(struct pg_array *a, int64_t v);
void pg_array_add_i32(struct pg_array *a, int32_t v);
void pg_array_add_i16(struct pg_array *a, int16_t v);
void pg_array_add_dec(struct pg_array *a, struct dec v);
void pg_array_add_text(struct pg_array *a, const char *text);
void pg_array_add_time_ms(struct pg_array *a, int64_t unix_ms); /* timestamptz */

/* The bytes of its elements, without the header; borrowed until more are added. */
const void *pg_array_elements(const struct pg_array *a, size_t *length);

/* Complete the header and add the array as the next parameter. The array must live until pg_run. */
void pg_add_array(struct pg_statement *s, struct pg_array *a);

/* Reading one binary array field; elements are visited in order. */
struct pg_array_reader {
    const unsigned char *at;
    const unsigned char *end;
    int left;
};
/* Returns 0, or -1 if it is not a one-dimensional (or empty) array. */
int pg_array_read(struct pg_array_reader *r, const void *field, size_t length);
/* True with the next element; *data NULL for SQL NULL. */
bool pg_array_next(struct pg_array_reader *r, const unsigned char **data, size_t *length);

#endif
