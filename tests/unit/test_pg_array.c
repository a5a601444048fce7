/* Binary arrays: what goes out, and what may come in. */
#include "common/pg/pg_array.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* "00 01" to bytes; returns their number. */
static size_t from_hex(const char *hex, unsigned char *out, size_t size)
{
    size_t n = 0;
    char *end;
    for (const char *at = hex; *at; at = *end ? end + 1 : end) {
        assert_true(n < size);
        out[n++] = (unsigned char)strtoul(at, &end, 16);
    }
    return n;
}

static void must_encode(struct pg_array *a, unsigned type, const char *hex)
{
    unsigned char expected[256];
    size_t length = from_hex(hex, expected, sizeof expected);
    struct pg_statement s;
    pg_statement_init(&s, "select 1");
    pg_add_array(&s, a);
    assert_int_equal(s.params, 1);
    assert_int_equal(s.types[0], type);
    assert_int_equal(s.formats[0], 1);
    assert_int_equal(s.lengths[0], length);
    assert_memory_equal(s.values[0], expected, length);
    pg_array_done(a);
}

static struct pg_array new_array(unsigned element)
{
    struct pg_array a;
    pg_array_init(&a, element);
    return a;
}

static void elements_are_big_endian_with_their_lengths(void **state)
{
    /* Each type's elements have the layout that array_recv and the type's own recv read. */
    (void)state;
    struct pg_array a = new_array(PG_INT8);
    pg_array_add_i64(&a, -2);
    must_encode(&a, 1016,
                "00 00 00 01 00 00 00 00 00 00 00 14 00 00 00 01 00 00 00 01 "
                "00 00 00 08 ff ff ff ff ff ff ff fe");

    a = new_array(PG_INT4);
    pg_array_add_i32(&a, 258);
    must_encode(&a, 1007,
                "00 00 00 01 00 00 00 00 00 00 00 17 00 00 00 01 00 00 00 01 "
                "00 00 00 04 00 00 01 02");

    a = new_array(PG_INT2);
    pg_array_add_i16(&a, -1);
    pg_array_add_i16(&a, 7);
    must_encode(&a, 1005,
                "00 00 00 01 00 00 00 00 00 00 00 15 00 00 00 02 00 00 00 01 "
                "00 00 00 02 ff ff 00 00 00 02 00 07");

    a = new_array(PG_TEXT);
    pg_array_add_text(&a, "ab");
    pg_array_add_text(&a, "");
    must_encode(&a, 1009,
                "00 00 00 01 00 00 00 00 00 00 00 19 00 00 00 02 00 00 00 01 "
                "00 00 00 02 61 62 00 00 00 00");

    a = new_array(PG_TIMESTAMPTZ);
    pg_array_add_time_ms(&a, 946684800001); /* 1 ms after PostgreSQL's epoch */
    must_encode(&a, 1185,
                "00 00 00 01 00 00 00 00 00 00 04 a0 00 00 00 01 00 00 00 01 "
                "00 00 00 08 00 00 00 00 00 00 03 e8");

    a = new_array(PG_NUMERIC);
    pg_array_add_dec(&a, dec_from_i64(12));
    must_encode(&a, 1231,
                "00 00 00 01 00 00 00 00 00 00 06 a4 00 00 00 01 00 00 00 01 "
                "00 00 00 0a 00 01 00 00 00 00 00 00 00 0c");
}

static void nulls_set_the_flag(void **state)
{
    /* A NULL has length -1 and no bytes, and the header says that there is one. */
    (void)state;
    struct pg_array a = new_array(PG_BYTEA);
    pg_array_add_null(&a);
    pg_array_add(&a, "\0x", 2);
    must_encode(&a, 1001,
                "00 00 00 01 00 00 00 01 00 00 00 11 00 00 00 02 00 00 00 01 "
                "ff ff ff ff 00 00 00 02 00 78");
}

static void an_empty_array_has_no_dimension(void **state)
{
    /* Nothing added, or cleared again: 12 bytes. A cleared array can be filled anew. */
    (void)state;
    struct pg_array a = new_array(PG_INT8);
    must_encode(&a, 1016, "00 00 00 00 00 00 00 00 00 00 00 14");

    a = new_array(PG_INT4);
    pg_array_add_null(&a);
    pg_array_clear(&a);
    pg_array_add_i32(&a, 1);
    must_encode(&a, 1007,
                "00 00 00 01 00 00 00 00 00 00 00 17 00 00 00 01 00 00 00 01 "
                "00 00 00 04 00 00 00 01");
}

static void what_was_written_is_read_back(void **state)
{
    /* Elements come back in order, NULL as NULL, and then nothing more. */
    (void)state;
    struct pg_array a = new_array(PG_TEXT);
    pg_array_add_text(&a, "one");
    pg_array_add_null(&a);
    pg_array_add_text(&a, "");
    struct pg_statement s;
    pg_statement_init(&s, "");
    pg_add_array(&s, &a);

    struct pg_array_reader r;
    const unsigned char *data;
    size_t length;
    assert_int_equal(pg_array_read(&r, s.values[0], (size_t)s.lengths[0]), 0);
    assert_int_equal(r.left, 3);
    assert_true(pg_array_next(&r, &data, &length));
    assert_int_equal(length, 3);
    assert_memory_equal(data, "one", 3);
    assert_true(pg_array_next(&r, &data, &length));
    assert_null(data);
    assert_true(pg_array_next(&r, &data, &length));
    assert_non_null(data);
    assert_int_equal(length, 0);
    assert_false(pg_array_next(&r, &data, &length));
    pg_array_done(&a);
}

static void check_read(const char *hex, int expected)
{
    unsigned char bytes[256];
    size_t length = from_hex(hex, bytes, sizeof bytes);
    /* On the heap and exactly as long, so that ASan sees a byte too many. */
    unsigned char *exact = malloc(length ? length : 1);
    struct pg_array_reader r;
    memcpy(exact, bytes, length);
    assert_int_equal(pg_array_read(&r, exact, length), expected);
    free(exact);
}

#define ONE_INT4 "00 00 00 17 00 00 00 01 00 00 00 01 00 00 00 04 00 00 00 09"

static void only_whole_arrays_of_one_dimension_are_read(void **state)
{
    /* Too short, too long, too many dimensions, or lengths that point outside: refused at once. */
    (void)state;
    static const char *const accepted[] = {
        ("00 00 00 01 00 00 00 00 " ONE_INT4),
        "00 00 00 00 00 00 00 00 00 00 00 17",
        "00 00 00 01 00 00 00 01 00 00 00 17 00 00 00 01 00 00 00 01 ff ff ff ff",
        "00 00 00 01 00 00 00 00 00 00 00 17 00 00 00 00 00 00 00 01",
    };
    static const char *const refused[] = {
        "",
        "00 00 00 00",
        "00 00 00 00 00 00 00 00 00 00 00 17 00",
        "00 00 00 01 00 00 00 00 00 00 00 17",
        "00 00 00 02 00 00 00 00 " ONE_INT4,
        "00 00 00 01 00 00 00 00 " ONE_INT4 " 00",
        "00 00 00 01 00 00 00 00 00 00 00 17 00 00 00 02 00 00 00 01 00 00 00 04 00 00 00 09",
        "00 00 00 01 00 00 00 00 00 00 00 17 ff ff ff ff 00 00 00 01",
        "00 00 00 01 00 00 00 00 00 00 00 17 00 00 00 01 00 00 00 01 00 00 00 05 00 00 00 09",
        "00 00 00 01 00 00 00 00 00 00 00 17 00 00 00 01 00 00 00 01 ff ff ff fe",
        "00 00 00 01 00 00 00 00 00 00 00 17 00 00 00 01 00 00 00 01 7f ff ff ff",
        "00 00 00 01 00 00 00 00 00 00 00 17 00 00 00 01 00 00 00 01 00 00",
    };
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++)
        check_read(accepted[i], 0);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        check_read(refused[i], -1);
}

static void integers_are_parameters_by_their_storage(void **state)
{
    /* pg_add_i64 writes into the caller's eight bytes; pg_add_text of NULL is SQL NULL. */
    (void)state;
    unsigned char storage[8];
    struct pg_statement s;
    pg_statement_init(&s, "select $1, $2");
    pg_add_i64(&s, 0x0102030405060708, storage);
    pg_add_text(&s, NULL);
    assert_ptr_equal(s.values[0], storage);
    assert_memory_equal(storage, "\1\2\3\4\5\6\7\10", 8);
    assert_int_equal(s.types[0], PG_INT8);
    assert_null(s.values[1]);
    assert_int_equal(s.types[1], 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_are_big_endian_with_their_lengths),
        cmocka_unit_test(nulls_set_the_flag),
        cmocka_unit_test(an_empty_array_has_no_dimension),
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(only_whole_arrays_of_one_dimension_are_read),
        cmocka_unit_test(integers_are_parameters_by_their_storage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
