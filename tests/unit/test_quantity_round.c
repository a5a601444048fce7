/* Quantities that floats print become what the stream allows, exactly, by the digits. */
#include "ctl/rejected/quantity_round.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void what_is_a_number_is_rounded_half_away_from_zero(void **state)
{
    static const struct {
        const char *text;
        int decimals;
        const char *wanted;
    } CASES[] = {
        {"0.30000000000000004", 9, "0.3"},
        {"-0.30000000000000004", 9, "-0.3"},
        {"1e-7", 9, "0.0000001"},
        {"1E-7", 9, "0.0000001"},
        {"1.5e+3", 9, "1500"},
        {"12345e-3", 9, "12.345"},
        {"5e-10", 9, "0.000000001"},
        {"4.9999999999999999e-10", 9, "0"},
        {"-4e-10", 9, "0"},
        {"-5e-10", 9, "-0.000000001"},
        {"5.551115123125783e-17", 9, "0"},
        {"1e-999999999999", 9, "0"},
        {"0e999999999999", 9, "0"},
        {"0.5", 0, "1"},
        {"-0.5", 0, "-1"},
        {"0.49999999999999999999", 0, "0"},
        {"1.5", 0, "2"},
        {"2.5", 0, "3"},
        {"0.0049", 2, "0"},
        {"0.005", 2, "0.01"},
        {"1.0000000005", 9, "1.000000001"},
        {"999999999999999999", 0, "999999999999999999"},
        {"999999999999999999.4", 0, "999999999999999999"},
        {"999999999999999999.9999999994", 9, "999999999999999999.999999999"},
        {"99999999999999999.9999999995", 9, "100000000000000000"},
        {"000000000000000000000007.10", 9, "7.1"},
        {"0.0", 9, "0"},
        {"-0", 9, "0"},
        {"1e17", 9, "100000000000000000"},
        {"0.00000000000000000000000001e26", 9, "1"},
        {"9.9", 0, "10"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        char out[QUANTITY_TEXT_SIZE];
        assert_int_equal(
            quantity_round(CASES[i].text, strlen(CASES[i].text), CASES[i].decimals, out), 0);
        assert_string_equal(out, CASES[i].wanted);
    }
}

static void what_is_none_or_too_large_is_refused(void **state)
{
    static const char *const CASES[] = {"",
                                        "-",
                                        "abc",
                                        "1,5",
                                        "1.",
                                        ".5",
                                        "+1",
                                        "1e",
                                        "1e-",
                                        "1e1.5",
                                        "0x10",
                                        "NaN",
                                        "Infinity",
                                        " 1",
                                        "1 ",
                                        "1000000000000000000",
                                        "1e18",
                                        "1e999999999999",
                                        "999999999999999999.9999999995",
                                        "--1"};
    char out[QUANTITY_TEXT_SIZE];
    char digits[3000];

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        assert_int_equal(quantity_round(CASES[i], strlen(CASES[i]), 9, out), -1);
    assert_int_equal(quantity_round("1\0002", 3, 9, out), -1);
    memset(digits, '1', sizeof digits);
    digits[1] = '.';
    assert_int_equal(quantity_round(digits, sizeof digits, 9, out), -1);
}

static void every_digit_counts(void **state)
{
    /* Against halves that lie a thousandth of nothing on either side, at each place. */
    (void)state;
    char out[QUANTITY_TEXT_SIZE];
    for (int decimals = 0; decimals <= QUANTITY_DECIMALS_MAX; decimals++) {
        char text[40] = "0.";
        char wanted[QUANTITY_TEXT_SIZE] = "0.";
        memset(text + 2, '0', 30);
        memset(wanted + 2, '0', QUANTITY_DECIMALS_MAX);
        text[2 + decimals] = '4';
        memset(text + 3 + decimals, '9', (size_t)(29 - decimals));
        assert_int_equal(quantity_round(text, 32, decimals, out), 0);
        assert_string_equal(out, "0");
        text[2 + decimals] = '5';
        memset(text + 3 + decimals, '0', (size_t)(29 - decimals));
        wanted[1 + decimals] = decimals ? '1' : wanted[1];
        wanted[2 + decimals] = '\0';
        assert_int_equal(quantity_round(text, 32, decimals, out), 0);
        assert_string_equal(out, decimals ? wanted : "1");
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_a_number_is_rounded_half_away_from_zero),
        cmocka_unit_test(what_is_none_or_too_large_is_refused),
        cmocka_unit_test(every_digit_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
