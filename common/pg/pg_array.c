/* Parameters of statements and fields of results in their binary form.
 *
 * The header of an array is written when the array is added to a statement, into room that was kept
 * for it. */
#include "common/pg/pg_array.h"

#include "common/clock.h"

#include <assert.h>
#include <endian.h>
#include <limits.h>
#include <string.h>

enum { HEADER_EMPTY = 12, HEADER_SIZE = 20 };
enum { NULL_LENGTH = -1 };

static const struct {
    unsigned element;
    unsigned array;
} ARRAYS[] = {
    {PG_BOOL, PG_BOOL_ARRAY},
    {PG_BYTEA, PG_BYTEA_ARRAY},
    {PG_INT8, PG_INT8_ARRAY},
    {PG_INT2, PG_INT2_ARRAY},
    {PG_INT4, PG_INT4_ARRAY},
    {PG_TEXT, PG_TEXT_ARRAY},
    {PG_NUMERIC, PG_NUMERIC_ARRAY},
    {PG_UUID, PG_UUID_ARRAY},
    {PG_TIMESTAMPTZ, PG_TIMESTAMPTZ_ARRAY},
};

static unsigned array_type(unsigned element)
{
    for (size_t i = 0; i < sizeof ARRAYS / sizeof *ARRAYS; i++)
        if (ARRAYS[i].element == element)
            return ARRAYS[i].array;
    assert(0 && "an element type without an array type");
    return 0;
}

void pg_array_init(struct pg_array *a, unsigned element_oid)
{
    *a = (struct pg_array){.element = element_oid};
    (void)array_type(element_oid);
    pg_array_clear(a);
}

void pg_array_clear(struct pg_array *a)
{
    static const char room[HEADER_SIZE];
    buf_clear(&a->bytes);
    buf_add(&a->bytes, room, sizeof room);
    a->count = 0;
    a->nulls = false;
}

void pg_array_done(struct pg_array *a)
{
    buf_done(&a->bytes);
    *a = (struct pg_array){0};
}

static void put_u32be(char *at, uint32_t v)
{
    uint32_t bytes = htobe32(v);
    memcpy(at, &bytes, sizeof bytes);
}

/* One more element, whose size bytes the caller writes. Called for every value that is stored, so
 * it looks for room once. */
static inline char *add_element(struct pg_array *a, size_t size)
{
    struct buf *b = &a->bytes;
    assert(size <= INT_MAX && a->count < INT_MAX);
    if (b->capacity - b->length < 4 + size + 1)
        buf_reserve(b, 4 + size);
    char *at = b->data + b->length;
    put_u32be(at, (uint32_t)size);
    b->length += 4 + size;
    b->data[b->length] = '\0';
    a->count++;
    return at + 4;
}

void pg_array_add(struct pg_array *a, const void *data, size_t length)
{
    char *at = add_element(a, length);
    if (length > 0)
        memcpy(at, data, length);
}

void pg_array_add_null(struct pg_array *a)
{
    put_u32be(add_element(a, 0) - 4, (uint32_t)NULL_LENGTH);
    a->nulls = true;
}

void pg_array_add_i64(struct pg_array *a, int64_t v)
{
    uint64_t bytes = htobe64((uint64_t)v);
    memcpy(add_element(a, sizeof bytes), &bytes, sizeof bytes);
}

void pg_array_add_i32(struct pg_array *a, int32_t v)
{
    uint32_t bytes = htobe32((uint32_t)v);
    memcpy(add_element(a, sizeof bytes), &bytes, sizeof bytes);
}

void pg_array_add_i16(struct pg_array *a, int16_t v)
{
    uint16_t bytes = htobe16((uint16_t)v);
    memcpy(add_element(a, sizeof bytes), &bytes, sizeof bytes);
}

void pg_array_add_dec(struct pg_array *a, struct dec v)
{
    unsigned char bytes[DEC_PG_SIZE] = {0};
    size_t length = dec_to_pg(v, bytes);
    pg_array_add(a, bytes, length);
}

void pg_array_add_text(struct pg_array *a, const char *text)
{
    pg_array_add(a, text, strlen(text));
}

void pg_array_add_time_ms(struct pg_array *a, int64_t unix_ms)
{
    pg_array_add_i64(a, clock_unix_ms_to_pg_us(unix_ms));
}

const void *pg_array_elements(const struct pg_array *a, size_t *length)
{
    *length = a->bytes.length - HEADER_SIZE;
    return a->bytes.data + HEADER_SIZE;
}

void pg_add_array(struct pg_statement *s, struct pg_array *a)
{
    bool empty = a->count == 0;
    put_u32be(a->bytes.data, empty ? 0 : 1); /* dimensions */
    put_u32be(a->bytes.data + 4, a->nulls);
    put_u32be(a->bytes.data + 8, a->element);
    put_u32be(a->bytes.data + 12, (uint32_t)a->count);
    put_u32be(a->bytes.data + 16, 1); /* lower bound */
    pg_add_binary(s, array_type(a->element), a->bytes.data, empty ? HEADER_EMPTY : a->bytes.length);
}

static int32_t get_i32be(const unsigned char *at)
{
    uint32_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    return (int32_t)be32toh(bytes);
}

/* True with the next element; false at the end, or if what is left is no element. */
static bool read_element(struct pg_array_reader *r, const unsigned char **data, size_t *length)
{
    if (r->left == 0 || r->end - r->at < 4)
        return false;
    int32_t size = get_i32be(r->at);
    if (size < NULL_LENGTH || size > r->end - r->at - 4)
        return false;
    *data = size == NULL_LENGTH ? NULL : r->at + 4;
    *length = size == NULL_LENGTH ? 0 : (size_t)size;
    r->at += 4 + *length;
    r->left--;
    return true;
}

/* Walked once, so that reading cannot fail half-way. */
static int check_elements(struct pg_array_reader r)
{
    const unsigned char *data;
    size_t length;
    while (read_element(&r, &data, &length))
        continue;
    return r.left == 0 && r.at == r.end ? 0 : -1;
}

int pg_array_read(struct pg_array_reader *r, const void *field, size_t length)
{
    const unsigned char *at = field;
    if (length < HEADER_EMPTY)
        return -1;
    int32_t dimensions = get_i32be(at);
    if (dimensions == 0) {
        *r = (struct pg_array_reader){.at = at + length, .end = at + length};
        return length == HEADER_EMPTY ? 0 : -1;
    }
    if (dimensions != 1 || length < HEADER_SIZE || get_i32be(at + 12) < 0)
        return -1;
    *r = (struct pg_array_reader){at + HEADER_SIZE, at + length, get_i32be(at + 12)};
    return check_elements(*r);
}

bool pg_array_next(struct pg_array_reader *r, const unsigned char **data, size_t *length)
{
    return read_element(r, data, length);
}

/* One value, and one field of a binary result. */

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
