/* JSON whose numbers stay exact. */
#include "common/json_exact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void must_read(const char *json, const char *expected)
{
    struct dec value = DEC_ZERO;
    char text[DEC_TEXT_SIZE];
    json_t *root = json_exact_load(json, strlen(json));
    assert_non_null(root);
    assert_int_equal(json_exact_dec(json_object_get(root, "n"), &value), 0);
    dec_format(value, text);
    assert_string_equal(text, expected);
    json_decref(root);
}

static void a_number_keeps_every_digit(void **state)
{
    (void)state;
    must_read("{\"n\": 5}", "5");
    must_read("{\"n\":-5}", "-5");
    must_read("{\"n\": 5.0}", "5");
    must_read("{\"n\": 0.1}", "0.1");
    must_read("{\"n\": \"12.5\"}", "12.5");
    must_read("{\"n\": 999999999999999999}", "999999999999999999");
    must_read("{\"n\": 9007199254740993.0}", "9007199254740993"); /* 2^53 + 1 */
    must_read("{\"n\": 12345678901234567890123456789}", "12345678901234567890123456789");
}

static void what_is_no_decimal_is_refused(void **state)
{
    (void)state;
    static const char *const NONE[] = {"{\"n\": 1e3}", "{\"n\": null}",         "{\"n\": true}",
                                       "{\"n\": {}}",  "{\"n\": 0.1234567891}", "{}"};
    for (size_t i = 0; i < sizeof NONE / sizeof *NONE; i++) {
        struct dec value = dec_from_i64(7);
        json_t *root = json_exact_load(NONE[i], strlen(NONE[i]));
        assert_non_null(root);
        assert_int_equal(json_exact_dec(json_object_get(root, "n"), &value), -1);
        assert_int_equal(dec_cmp(value, dec_from_i64(7)), 0);
        json_decref(root);
    }
}

static void strings_are_left_alone(void **state)
{
    /* Digits, escapes and quotes within strings are none of ours. */
    (void)state;
    static const char JSON[] = "{\"a\": \"1.5 \\\" 2.5 \\\\\", \"b\": [1.5, \"\\u0031.5\"]}";
    json_t *root = json_exact_load(JSON, strlen(JSON));
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "a")), "1.5 \" 2.5 \\");
    const json_t *b = json_object_get(root, "b");
    assert_string_equal(json_string_value(json_array_get(b, 0)), "1.5");
    assert_string_equal(json_string_value(json_array_get(b, 1)), "1.5");
    json_decref(root);
}

static void what_is_no_json_is_null(void **state)
{
    (void)state;
    static const char *const BROKEN[] = {"",    "<html>", "{\"a\": \"", "{\"a\": \"\\",
                                         "[1,", "[01",    "[-]",        "{\"a\": 5"};
    for (size_t i = 0; i < sizeof BROKEN / sizeof *BROKEN; i++)
        assert_null(json_exact_load(BROKEN[i], strlen(BROKEN[i])));
    /* Nothing behind the end is looked at. */
    assert_null(json_exact_load("[12]34", 3));
    assert_null(json_exact_load("[-", 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_keeps_every_digit),
        cmocka_unit_test(what_is_no_decimal_is_refused),
        cmocka_unit_test(strings_are_left_alone),
        cmocka_unit_test(what_is_no_json_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
