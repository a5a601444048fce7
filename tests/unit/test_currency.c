/* Amounts have the decimals of their currency at Stripe, and the function in SQL agrees. */
#include "common/currency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *currency;
    int digits;
    int64_t step;
} CURRENCIES[] = {
    {"usd", 2, 1},  {"eur", 2, 1},  {"jpy", 0, 1}, {"JPY", 0, 1},   {"krw", 0, 1},
    {"mga", 0, 1},  {"huf", 2, 1},  {"twd", 2, 1}, {"isk", 2, 100}, {"ugx", 2, 100},
    {"kwd", 3, 10}, {"bhd", 3, 10}, {"clp", 0, 1}, {"clf", 2, 1},
};

static void a_currency_has_stripes_decimals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CURRENCIES / sizeof *CURRENCIES; i++) {
        assert_int_equal(currency_digits(CURRENCIES[i].currency), CURRENCIES[i].digits);
        assert_int_equal(currency_step(CURRENCIES[i].currency), CURRENCIES[i].step);
    }
}

static void an_amount_is_told_with_its_currencys_decimals(void **state)
{
    static const struct {
        int64_t minor;
        const char *currency;
        const char *text;
    } CASES[] = {{4200, "eur", "42.00 EUR"},
                 {5, "usd", "0.05 USD"},
                 {4200, "jpy", "4200 JPY"},
                 {4200, "ugx", "42.00 UGX"},
                 {4200, "isk", "42.00 ISK"},
                 {4205, "KWD", "4.205 KWD"},
                 {-4205, "eur", "-42.05 EUR"},
                 {0, "usd", "0.00 USD"},
                 {INT64_MIN, "jpy", "-9223372036854775808 JPY"}};
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct buf b = {0};
        currency_add_amount(&b, CASES[i].minor, CASES[i].currency);
        assert_string_equal(b.data, CASES[i].text);
        buf_done(&b);
    }
}

/* Of any three letters, the C module and the function in SQL say the same. */
static void the_function_in_sql_agrees(void **state)
{
    char text[4096] = "";
    char code[] = "'aaa'";
    (void)state;
    FILE *in = fopen("deploy/functions/minor_units.sql", "re");
    assert_non_null(in);
    size_t length = fread(text, 1, sizeof text - 1, in);
    fclose(in);
    assert_true(length > 0 && length < sizeof text - 1);
    const char *none = strstr(text, "WHEN p_currency IN");
    const char *three = none ? strstr(none + 1, "WHEN p_currency IN") : NULL;
    assert_non_null(three);
    assert_non_null(strstr(three, "THEN 1000"));
    for (code[1] = 'a'; code[1] <= 'z'; code[1]++)
        for (code[2] = 'a'; code[2] <= 'z'; code[2]++)
            for (code[3] = 'a'; code[3] <= 'z'; code[3]++) {
                const char *listed = strstr(none, code);
                int digits = !listed ? 2 : listed < three ? 0 : 3;
                char currency[4] = {code[1], code[2], code[3], '\0'};
                assert_int_equal(currency_digits(currency), digits);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_currency_has_stripes_decimals),
        cmocka_unit_test(an_amount_is_told_with_its_currencys_decimals),
        cmocka_unit_test(the_function_in_sql_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
