/* Parameters in, fields out: PostgreSQL's binary forms, big endian. */
#include "common/clock.h"
#include "common/pg/pg.h"

#include <assert.h>
#include <endian.h>
#include <limits.h>
#include <string.h>

void pg_statement_init(struct pg_statement *s, const char *sql)
{
    *s = (struct pg_statement){.sql = sql};
}

static void add_param(struct pg_statement *s, unsigned type, const char *value, int length,
                      int format)
{
    assert(s->params < PG_MAX_PARAMS);
    s->types[s->params] = type;
    s->values[s->params] = value;
    s->lengths[s->params] = length;
    s->formats[s->params] = format;
    s->params++;
}

void pg_add_text(struct pg_statement *s, const char *text)
{
    add_param(s, 0, text, 0, 0);
}

void pg_add_binary(struct pg_statement *s, unsigned type, const void *data, size_t length)
{
    assert(length <= INT_MAX);
    add_param(s, type, data, (int)length, 1);
}

void pg_add_i64(struct pg_statement *s, int64_t v, unsigned char storage[8])
{
    uint64_t bytes = htobe64((uint64_t)v);
    memcpy(storage, &bytes, sizeof bytes);
    pg_add_binary(s, PG_INT8, storage, sizeof bytes);
}

int64_t pg_get_i64(const PGresult *r, int row, int column)
{
    const unsigned char *data = (const unsigned char *)PQgetvalue(r, row, column);
    int length = PQgetlength(r, row, column);
    assert(PQfformat(r, column) == 1);
    assert(length == 1 || length == 2 || length == 4 || length == 8); /* 0 is NULL */
    int64_t v = length == 1 ? data[0] : (signed char)data[0];         /* a bool has no sign */
    for (int i = 1; i < length; i++)
        v = (int64_t)((uint64_t)v << 8 | data[i]);
    return v;
}

int64_t pg_get_time_ms(const PGresult *r, int row, int column)
{
    assert(PQgetlength(r, row, column) == 8);
    return clock_pg_us_to_unix_ms(pg_get_i64(r, row, column));
}
