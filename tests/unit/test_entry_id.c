/* Redis entry ids: text, order, the next one. */
#include "aggregator/stream/entry_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define MAX UINT64_MAX

static void ids_are_read_and_written(void **state)
{
    /* Both halves take all 64 bits. */
    static const struct {
        const char *text;
        struct entry_id id;
    } TABLE[] = {
        {"0-0", {0, 0}},
        {"1795251646304-12", {1795251646304, 12}},
        {"18446744073709551615-18446744073709551615", {MAX, MAX}},
    };
    char text[ENTRY_ID_TEXT_SIZE];
    struct entry_id id;

    (void)state;
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
        assert_int_equal(entry_id_parse(TABLE[i].text, &id), 0);
        assert_int_equal(entry_id_compare(id, TABLE[i].id), 0);
        entry_id_format(id, text);
        assert_string_equal(text, TABLE[i].text);
    }
}

static void other_texts_are_no_ids(void **state)
{
    /* No signs, blanks or rests; nothing wraps; the result is untouched. */
    static const char *const TABLE[] = {"",
                                        "-",
                                        "1",
                                        "1-",
                                        "-1",
                                        "1-2-3",
                                        "+1-2",
                                        " 1-2",
                                        "1 -2",
                                        "1-+2",
                                        "1-2 ",
                                        "1-x",
                                        "0x1-2",
                                        "18446744073709551616-0",
                                        "0-18446744073709551616"};
    struct entry_id id = {7, 8};

    (void)state;
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++) {
        if (entry_id_parse(TABLE[i], &id) != -1)
            fail_msg("\"%s\" is no id", TABLE[i]);
        assert_int_equal(id.ms, 7);
        assert_int_equal(id.seq, 8);
    }
}

static void order_is_by_time_then_sequence(void **state)
{
    /* Unsigned, in both halves. Each row is below the next one. */
    static const struct entry_id TABLE[] = {
        {0, 0}, {0, 1}, {0, MAX}, {1, 0}, {1, 1}, {2, 0}, {MAX, 0}, {MAX, MAX},
    };
    enum { N = sizeof TABLE / sizeof *TABLE };

    (void)state;
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++)
            assert_int_equal(entry_id_compare(TABLE[i], TABLE[k]), (i > k) - (i < k));
}

static void the_next_id_is_the_least_above(void **state)
{
    /* The sequence carries into the time. The greatest id has none above: it stays. */
    static const struct entry_id TABLE[][2] = {
        {{0, 0}, {0, 1}},
        {{5, 9}, {5, 10}},
        {{5, MAX}, {6, 0}},
        {{MAX, MAX}, {MAX, MAX}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++)
        assert_int_equal(entry_id_compare(entry_id_next(TABLE[i][0]), TABLE[i][1]), 0);
}

static void a_time_is_believed_if_a_clock_can_have_shown_it(void **state)
{
    /* At most a day ahead; none before there were streams. */
    static const int64_t NOW = 1795000000000, DAY = 86400000;

    (void)state;
    assert_int_equal(entry_id_time_ms((struct entry_id){.ms = 1795000000000}, NOW), NOW);
    assert_int_equal(entry_id_time_ms((struct entry_id){.ms = 1514764800000}, NOW), 1514764800000);
    assert_int_equal(entry_id_time_ms((struct entry_id){.ms = 1514764799999}, NOW), NOW);
    assert_int_equal(entry_id_time_ms((struct entry_id){.ms = 0, .seq = 9}, NOW), NOW);
    assert_int_equal(entry_id_time_ms((struct entry_id){.ms = MAX}, NOW), NOW + DAY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_read_and_written),
        cmocka_unit_test(other_texts_are_no_ids),
        cmocka_unit_test(order_is_by_time_then_sequence),
        cmocka_unit_test(the_next_id_is_the_least_above),
        cmocka_unit_test(a_time_is_believed_if_a_clock_can_have_shown_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
