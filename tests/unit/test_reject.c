/* Rejected entries as JSON that keeps every byte, or says how many it does not. */
#include "aggregator/batch/reject.h"
#include "common/contract.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct entries entries;
static struct buf out;

static int teardown(void **state)
{
    (void)state;
    entries_done(&entries);
    buf_done(&out);
    return 0;
}

static void begin(void)
{
    entries_clear(&entries);
    buf_clear(&out);
    entries_add(&entries, 1, 1);
}

static const char *one_field(struct text name, struct text value)
{
    begin();
    entries_add_field(&entries, name, value);
    reject_fields_json(&entries, 0, &out);
    return out.data;
}

static void fields_keep_their_order(void **state)
{
    /* [name, value] for each field as it came, names that come twice too. */
    (void)state;
    begin();
    reject_fields_json(&entries, 0, &out);
    assert_string_equal(out.data, "[]");
    begin();
    entries_add_field(&entries, TEXT("tenant"), TEXT("acme"));
    entries_add_field(&entries, TEXT("b"), TEXT(""));
    entries_add_field(&entries, TEXT("b"), TEXT("2"));
    reject_fields_json(&entries, 0, &out);
    assert_string_equal(out.data, "[[\"tenant\",\"acme\"],[\"b\",\"\"],[\"b\",\"2\"]]");
}

static void the_text_is_appended(void **state)
{
    /* What out held before stays, and does not count against the bound. */
    (void)state;
    begin();
    for (int i = 0; i < 100000; i++)
        buf_add_char(&out, '.');
    entries_add_field(&entries, TEXT("a"), TEXT("b"));
    reject_fields_json(&entries, 0, &out);
    assert_string_equal(out.data + 100000, "[[\"a\",\"b\"]]");
}

static void bytes_that_are_not_text_are_base64(void **state)
{
    /* Neither broken UTF-8 nor NUL (which jsonb refuses) ever stands in a JSON string. */
    (void)state;
    assert_string_equal(one_field(TEXT("a"), TEXT("\xff")), "[[\"a\",{\"base64\":\"/w==\"}]]");
    assert_string_equal(one_field(TEXT("\xff\x00"), TEXT("b")), "[[{\"base64\":\"/wA=\"},\"b\"]]");
    assert_string_equal(one_field(TEXT("a"), TEXT("\0")), "[[\"a\",{\"base64\":\"AA==\"}]]");
    assert_string_equal(one_field(TEXT("a"), TEXT("\xed\xa0\x80")),
                        "[[\"a\",{\"base64\":\"7aCA\"}]]");
    assert_string_equal(one_field(TEXT("\n\"\\"), TEXT("\x01\u00e9")),
                        "[[\"\\n\\\"\\\\\",\"\\u0001\u00e9\"]]");
}

/* Bytes of names and values that the JSON holds, plus what it says is missing. */
static size_t accounted_bytes(size_t *missing)
{
    json_error_t error;
    json_t *root = json_loadb(out.data, out.length, 0, &error);
    size_t bytes = 0;
    size_t i;
    json_t *field;

    if (root == NULL)
        fail_msg("not JSON: %s at %d", error.text, error.position);
    *missing = 0;
    json_array_foreach(root, i, field)
    {
        if (json_is_object(field)) {
            assert_int_equal(i, json_array_size(root) - 1);
            *missing = (size_t)json_integer_value(json_object_get(field, "truncated_bytes"));
            continue;
        }
        for (size_t part = 0; part < 2; part++) {
            json_t *string = json_array_get(field, part);
            const char *base64 = json_string_value(json_object_get(string, "base64"));
            if (base64 == NULL)
                bytes += json_string_length(string);
            else
                bytes += strlen(base64) / 4 * 3 - (size_t)(strchr(base64, '=') != NULL) -
                         (size_t)(strstr(base64, "==") != NULL);
        }
    }
    json_decref(root);
    return bytes + *missing;
}

static void must_fit(struct text name, const char *unit, size_t unit_bytes, size_t units)
{
    struct buf value = {0};
    size_t missing;

    for (size_t i = 0; i < units; i++)
        buf_add(&value, unit, unit_bytes);
    one_field(name, (struct text){.data = value.data, .length = (uint32_t)value.length});
    assert_true(out.length <= REJECTED_FIELDS_MAX_BYTES);
    assert_int_equal(accounted_bytes(&missing), name.length + value.length);
    if (missing > 0) /* cut no earlier than it had to be */
        assert_true(out.length > REJECTED_FIELDS_MAX_BYTES - 100);
    buf_done(&value);
}

static void long_values_are_cut_and_the_rest_is_told(void **state)
{
    /* At most 64 KiB of valid JSON, cut between characters; kept and missing bytes add up. */
    (void)state;
    for (size_t units = 10880; units < 10930; units++)
        must_fit(TEXT("a"), "\x01", 1, units);
    for (size_t units = 65440; units < 65500; units++)
        must_fit(TEXT("name"), "x", 1, units);
    for (size_t units = 49070; units < 49130; units++)
        must_fit(TEXT("a"), "\xff", 1, units);
    for (size_t units = 16340; units < 16380; units++)
        must_fit(TEXT("ab"), "\U0001f600", 4, units);
    must_fit(TEXT("a"), "\u20ac", 3, 1000000);
    must_fit(TEXT("a"), "\"", 1, 1000000);
    must_fit(TEXT("a"), "abc\0", 4, 1000000);
}

static void fields_that_do_not_fit_are_left_out(void **state)
{
    /* Fields after the first that was cut, and a name that does not fit, count as missing. */
    (void)state;
    static char large[100000];
    size_t missing;

    memset(large, 'n', sizeof(large));
    one_field((struct text){.data = large, .length = sizeof(large)}, TEXT("v"));
    assert_string_equal(out.data, "[{\"truncated_bytes\":100001}]");
    begin();
    for (int i = 0; i < 20000; i++)
        entries_add_field(&entries, TEXT("n"), TEXT(""));
    reject_fields_json(&entries, 0, &out);
    assert_true(out.length <= REJECTED_FIELDS_MAX_BYTES);
    assert_int_equal(accounted_bytes(&missing), 20000);
    assert_true(missing > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(fields_keep_their_order, teardown),
        cmocka_unit_test_teardown(the_text_is_appended, teardown),
        cmocka_unit_test_teardown(bytes_that_are_not_text_are_base64, teardown),
        cmocka_unit_test_teardown(long_values_are_cut_and_the_rest_is_told, teardown),
        cmocka_unit_test_teardown(fields_that_do_not_fit_are_left_out, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
