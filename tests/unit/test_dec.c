/* Exact decimals: text, arithmetic and PostgreSQL's binary form. */
#include "common/dec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LARGEST  "99999999999999999999999999999.999999999"
#define SMALLEST "-" LARGEST

/* A copy without a NUL, so that the sanitizer sees a read past its end. */
static char *exact_copy(const void *data, size_t length)
{
    char *copy = malloc(length ? length : 1);
    memcpy(copy, data, length);
    return copy;
}

typedef int (*parse_fn)(const char *text, size_t length, struct dec *out);

static int parse_exact(parse_fn parse, const char *text, struct dec *out)
{
    char *copy = exact_copy(text, strlen(text));
    int result = parse(copy, strlen(text), out);
    free(copy);
    return result;
}

static struct dec dec_of(const char *text)
{
    struct dec value;
    if (parse_exact(dec_parse, text, &value))
        fail_msg("not a decimal: %s", text);
    return value;
}

static void assert_dec(struct dec value, const char *text)
{
    char found[DEC_TEXT_SIZE];
    size_t length = dec_format(value, found);
    assert_string_equal(found, text);
    assert_int_equal(length, strlen(text));
}

static void must_parse(parse_fn parse, const char *text, const char *formatted)
{
    struct dec value;
    if (parse_exact(parse, text, &value))
        fail_msg("refused: %s", text);
    assert_dec(value, formatted);
}

static void must_not_parse(parse_fn parse, const char *text)
{
    struct dec value = {4711};
    if (parse_exact(parse, text, &value) == 0)
        fail_msg("taken: %s", text);
    assert_true(value.scaled == 4711);
}

/* Both parsers refuse these. */
static const char *const MALFORMED[] = {
    "",    "-",   "+1",  " 1",  "1 ",           "1.",   ".5",   "-.5", "1..5", "1.5.5",
    "--1", "1-",  "1e3", "1E3", "0x10",         "1,5",  "1_0",  "NaN", "nan",  "Infinity",
    "inf", "abc", "1a",  "a1",  "1.a",          "1.5a", "1.-5", "\n1", "1\n",  "1.0000000000",
    "١",   "1/",  "1:",  "-",   "0.1234567890", "-1.",  ".",    "-.",  "1 2",  "1.+5",
};

static void quantities_of_the_stream(void **state)
{
    /* A quantity is an optional minus, 1 to 18 digits, and perhaps a point with 1 to 9 digits. */
    (void)state;
    static const struct {
        const char *text;
        const char *formatted;
    } cases[] = {
        {"0", "0"},
        {"1", "1"},
        {"-1", "-1"},
        {"-0", "0"},
        {"-0.000", "0"},
        {"007", "7"},
        {"1.5", "1.5"},
        {"1.500", "1.5"},
        {"10", "10"},
        {"100.10", "100.1"},
        {"-0.000000001", "-0.000000001"},
        {"0.123456789", "0.123456789"},
        {"000000000000000001", "1"},
        {"999999999999999999.999999999", "999999999999999999.999999999"},
        {"-999999999999999999.999999999", "-999999999999999999.999999999"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        must_parse(dec_parse_quantity, cases[i].text, cases[i].formatted);
    for (size_t i = 0; i < sizeof MALFORMED / sizeof *MALFORMED; i++)
        must_not_parse(dec_parse_quantity, MALFORMED[i]);
    must_not_parse(dec_parse_quantity, "1000000000000000000");
    must_not_parse(dec_parse_quantity, "0000000000000000001");
    must_not_parse(dec_parse_quantity, "18446744073709551617");
}

static void numerics_of_postgres(void **state)
{
    /* All of numeric(38,9) parses: up to 29 digits before the point and 9 behind it. */
    (void)state;
    static const struct {
        const char *text;
        const char *formatted;
    } cases[] = {
        {"0.000000000", "0"},
        {"1.000000000", "1"},
        {"1000000000000000000", "1000000000000000000"},
        {"10000000000000000000", "10000000000000000000"},
        {"1000000000000000000000000000.000000001", "1000000000000000000000000000.000000001"},
        {"12345678901234567890123456789.123456789", "12345678901234567890123456789.123456789"},
        {"00000000000000000000000000001", "1"},
        {LARGEST, LARGEST},
        {SMALLEST, SMALLEST},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        must_parse(dec_parse, cases[i].text, cases[i].formatted);
    for (size_t i = 0; i < sizeof MALFORMED / sizeof *MALFORMED; i++)
        must_not_parse(dec_parse, MALFORMED[i]);
    must_not_parse(dec_parse, "100000000000000000000000000000");
    must_not_parse(dec_parse, "000000000000000000000000000001");
}

static void text_with_nul_is_refused(void **state)
{
    /* The length counts, not a NUL: a NUL inside is not part of any number. */
    (void)state;
    struct dec value;
    assert_int_equal(dec_parse_quantity("1\0", 2, &value), -1);
    assert_int_equal(dec_parse_quantity("12345", 3, &value), 0);
    assert_dec(value, "123");
}

static void sums_and_differences(void **state)
{
    /* Adding and subtracting are exact. */
    (void)state;
    static const struct {
        const char *a;
        const char *b;
        const char *sum;
        const char *difference;
    } cases[] = {
        {"0", "0", "0", "0"},
        {"0.1", "0.2", "0.3", "-0.1"},
        {"1", "-1", "0", "2"},
        {"999999999.999999999", "0.000000001", "1000000000", "999999999.999999998"},
        {"99999999999999999999999999999", "0.999999999", LARGEST,
         "99999999999999999999999999998.000000001"},
        {SMALLEST, LARGEST, "0", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dec out;
        assert_int_equal(dec_add(dec_of(cases[i].a), dec_of(cases[i].b), &out), 0);
        assert_dec(out, cases[i].sum);
        int failed = dec_sub(dec_of(cases[i].a), dec_of(cases[i].b), &out);
        assert_int_equal(failed, cases[i].difference ? 0 : -1);
        if (!failed)
            assert_dec(out, cases[i].difference);
    }
}

static void overflow_is_an_error(void **state)
{
    /* A result of 10^29 or more is refused, even one beyond 128 bits; out is untouched. */
    (void)state;
    struct dec out = {4711};
    struct dec largest = dec_of(LARGEST);
    struct dec smallest = dec_of(SMALLEST);
    struct dec least = dec_of("0.000000001");
    assert_int_equal(dec_add(largest, least, &out), -1);
    assert_int_equal(dec_add(largest, largest, &out), -1);
    assert_int_equal(dec_add(smallest, smallest, &out), -1);
    assert_int_equal(dec_sub(smallest, least, &out), -1);
    assert_int_equal(dec_sub(smallest, largest, &out), -1);
    assert_int_equal(dec_sub(largest, smallest, &out), -1);
    assert_true(out.scaled == 4711);
}

static void negation(void **state)
{
    /* Every value has its negative. */
    (void)state;
    struct dec out;
    assert_int_equal(dec_neg(dec_of(LARGEST), &out), 0);
    assert_dec(out, SMALLEST);
    assert_int_equal(dec_neg(DEC_ZERO, &out), 0);
    assert_true(dec_is_zero(out));
    assert_false(dec_is_zero(dec_of("0.000000001")));
    assert_false(dec_is_zero(dec_of("-1")));
}

static void order(void **state)
{
    /* Values compare as numbers, over the whole range. */
    (void)state;
    static const char *const rising[] = {SMALLEST, "-2",  "-1.5", "-0.000000001", "0",
                                         "0.5",    "1.5", "10",   "9999999999",   LARGEST};
    size_t count = sizeof rising / sizeof *rising;
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++)
            assert_int_equal(dec_cmp(dec_of(rising[i]), dec_of(rising[j])), (i > j) - (i < j));
}

static void floors(void **state)
{
    /* The floor is the greatest whole number at or below the value. */
    (void)state;
    static const char *const cases[][2] = {
        {"0", "0"},
        {"1", "1"},
        {"-1", "-1"},
        {"1.999999999", "1"},
        {"-0.5", "-1"},
        {"-1.000000001", "-2"},
        {"0.5", "0"},
        {LARGEST, "99999999999999999999999999999"},
        {SMALLEST, "-100000000000000000000000000000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_dec(dec_floor(dec_of(cases[i][0])), cases[i][1]);
}

static void whole_numbers(void **state)
{
    /* An int64 goes in and out unchanged; what is not whole or too large does not come out. */
    (void)state;
    static const int64_t wholes[] = {0, 1, -1, 1000000000, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof wholes / sizeof *wholes; i++) {
        int64_t out = 4711;
        assert_int_equal(dec_to_i64(dec_from_i64(wholes[i]), &out), 0);
        assert_true(out == wholes[i]);
    }
    static const char *const others[] = {"0.5",   "-0.000000001",         "9223372036854775808",
                                         LARGEST, "-9223372036854775809", SMALLEST};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        int64_t out = 4711;
        assert_int_equal(dec_to_i64(dec_of(others[i]), &out), -1);
        assert_int_equal(out, 4711);
    }
    assert_dec(dec_from_i64(INT64_MIN), "-9223372036854775808");
}

static size_t bytes_of_hex(const char *hex, unsigned char out[DEC_PG_SIZE])
{
    size_t length = strlen(hex) / 2;
    for (size_t i = 0; i < length; i++) {
        char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        out[i] = (unsigned char)strtoul(digits, NULL, 16);
    }
    return length;
}

static int from_hex(const char *hex, struct dec *out)
{
    unsigned char bytes[DEC_PG_SIZE];
    size_t length = bytes_of_hex(hex, bytes);
    unsigned char *copy = (unsigned char *)exact_copy(bytes, length);
    int result = dec_from_pg(copy, length, out);
    free(copy);
    return result;
}

static void binary_form_as_postgres_writes_it(void **state)
{
    /* The bytes are those of numeric_send for the same text, and they read back. */
    (void)state;
    static const char *const cases[][2] = {
        /* From SELECT numeric_send($1::numeric) on PostgreSQL 15. */
        {"0", "0000000000000000"},
        {"1", "00010000000000000001"},
        {"-1", "00010000400000000001"},
        {"1.5", "000200000000000100011388"},
        {"0.000000001", "0001fffd0000000903e8"},
        {"-0.5", "0001ffff400000011388"},
        {"0.0001", "0001ffff000000040001"},
        {"0.00001", "0001fffe0000000503e8"},
        {"9999", "0001000000000000270f"},
        {"10000", "00010001000000000001"},
        {"10001", "000200010000000000010001"},
        {"100000000", "00010002000000000001"},
        {"20000.00002", "000400010000000500020000000007d0"},
        {"123456789.123456789", "0006000200000009000109291a8504d2162e2328"},
        {"-123456789.123456789", "0006000240000009000109291a8504d2162e2328"},
        {"10000000000000000000000000000", "00010007000000000001"},
        {LARGEST, "000b0007000000090009270f270f270f270f270f270f270f270f270f2328"},
        {SMALLEST, "000b0007400000090009270f270f270f270f270f270f270f270f270f2328"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char expected[DEC_PG_SIZE];
        unsigned char found[DEC_PG_SIZE];
        size_t length = bytes_of_hex(cases[i][1], expected);
        assert_int_equal(dec_to_pg(dec_of(cases[i][0]), found), length);
        assert_memory_equal(found, expected, length);
        struct dec back;
        assert_int_equal(from_hex(cases[i][1], &back), 0);
        assert_dec(back, cases[i][0]);
    }
}

static void binary_forms_of_other_writers(void **state)
{
    /* More decimals shown than needed, and groups of zeros at either end, are the same number. */
    (void)state;
    static const char *const cases[][2] = {
        {"0.1", "0001ffff0000000903e8"},
        {"1", "00010000000000090001"},
        {"0", "0000000000000009"},
        {"0", "0000000040000000"},
        {"1", "000200010000000000000001"},
        {"1", "000200000000000000010000"},
        {"1", "0006000000000000000100000000000000000000"},
        {"0", "00017fff000000000000"},
        {"0", "00018000000000000000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dec value;
        if (from_hex(cases[i][1], &value))
            fail_msg("refused: %s", cases[i][1]);
        assert_dec(value, cases[i][0]);
    }
}

static void binary_forms_that_are_refused(void **state)
{
    /* NaN, the infinities, what numeric(38,9) cannot hold, and malformed bytes give -1. */
    (void)state;
    static const char *const cases[] = {
        "00000000c0000000",       /* NaN */
        "00000000d0000020",       /* Infinity */
        "00000000f0000020",       /* -Infinity */
        "0000000080000000",       /* no such sign */
        "0001fffd0000000a0064",   /* 10^-10 */
        "0001fffd0000000903e9",   /* a tenth decimal */
        "0001fffc0000000c0001",   /* 10^-16 */
        "00018000000000000001",   /* 10^-131072 */
        "0001000700000000000a",   /* 10^29 */
        "0001000740000000000a",   /* -10^29 */
        "0001000700000000270f",   /* 9999 * 10^28 */
        "0001000800000000ffff",   /* a group above 9999 */
        "00010000000000002710",   /* 10000 as a group */
        "00010008000000000001",   /* 10^32 */
        "00017fff000000000001",   /* 10^131068 */
        "00010000000040000001",   /* dscale beyond 14 bits */
        "00020000000000000001",   /* a group is missing */
        "0001000000000000",       /* all groups are missing */
        "00000000000000000001",   /* a group too many */
        "0001000000000000000100", /* half a group too many */
        "ffff0000000000000001",   /* a count that is not there */
        "00000000000000",         /* half a header */
        "00",
        "",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct dec value = {4711};
        if (from_hex(cases[i], &value) == 0)
            fail_msg("taken: %s", cases[i]);
        assert_true(value.scaled == 4711);
    }
}

/* A plain generator: the same numbers in every run. */
static uint64_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return *seed >> 11 ^ *seed << 31;
}

/* Of any size, so that short and long texts come equally often. */
static struct dec random_dec(uint64_t *seed)
{
    dec_uint bits = (dec_uint)next_random(seed) << 64 | next_random(seed);
    bits >>= 2 + next_random(seed) % 126;
    dec_int scaled = (dec_int)(bits % (dec_uint)DEC_BOUND);
    return (struct dec){next_random(seed) % 2 ? -scaled : scaled};
}

static void every_value_survives_both_forms(void **state)
{
    /* Text and binary form give back the very value, for 100,000 values of all sizes. */
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 100000; i++) {
        struct dec value = random_dec(&seed);
        struct dec back;
        char text[DEC_TEXT_SIZE];
        unsigned char bytes[DEC_PG_SIZE];
        assert_int_equal(dec_parse(text, dec_format(value, text), &back), 0);
        assert_int_equal(dec_cmp(value, back), 0);
        assert_int_equal(dec_from_pg(bytes, dec_to_pg(value, bytes), &back), 0);
        assert_int_equal(dec_cmp(value, back), 0);
    }
}

static void subtracting_takes_back_adding(void **state)
{
    /* (a + b) - b is a wherever a + b exists, and a - b is a + (-b). */
    (void)state;
    uint64_t seed = 2;
    for (int i = 0; i < 100000; i++) {
        struct dec a = random_dec(&seed);
        struct dec b = random_dec(&seed);
        struct dec minus_b, sum, other, back;
        assert_int_equal(dec_neg(b, &minus_b), 0);
        assert_int_equal(dec_sub(a, b, &sum), dec_add(a, minus_b, &other));
        if (dec_add(a, b, &sum))
            continue;
        assert_int_equal(dec_sub(sum, b, &back), 0);
        assert_int_equal(dec_cmp(a, back), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantities_of_the_stream),
        cmocka_unit_test(numerics_of_postgres),
        cmocka_unit_test(text_with_nul_is_refused),
        cmocka_unit_test(sums_and_differences),
        cmocka_unit_test(overflow_is_an_error),
        cmocka_unit_test(negation),
        cmocka_unit_test(order),
        cmocka_unit_test(floors),
        cmocka_unit_test(whole_numbers),
        cmocka_unit_test(binary_form_as_postgres_writes_it),
        cmocka_unit_test(binary_forms_of_other_writers),
        cmocka_unit_test(binary_forms_that_are_refused),
        cmocka_unit_test(every_value_survives_both_forms),
        cmocka_unit_test(subtracting_takes_back_adding),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
