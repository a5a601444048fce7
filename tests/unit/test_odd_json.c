/* JSON that jansson refuses though it is valid becomes plain; what is plain stays as it is, and
 * what is no JSON stays none. */
#include "common/stripe/objects/odd_json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static void must_become(const char *text, const char *wanted)
{
    struct buf out = {0};
    odd_json_make_plain(text, strlen(text), &out);
    assert_string_equal(out.data ? out.data : "", wanted);
    buf_done(&out);
}

static void test_rows(void **state)
{
    (void)state;
    const char *const ROWS[][2] = {
        {"", ""},
        {"{\"a\": [1, -2.5e3, true, null, \"x\\n\\u00e9\\\\\"]}",
         "{\"a\": [1, -2.5e3, true, null, \"x\\n\\u00e9\\\\\"]}"},
        {"\"\\u0000\"", "\"\\ufffd\""},
        {"\"\\\\u0000\"", "\"\\\\u0000\""},
        {"\"\\ud83d\\ude00\"", "\"\\ud83d\\ude00\""},
        {"\"\\uD83D\\u0041\"", "\"\\ufffd\\u0041\""},
        {"\"\\ude00\"", "\"\\ufffd\""},
        {"\"\\ud83d\"", "\"\\ufffd\""},
        {"9223372036854775807", "9223372036854775807"},
        {"9223372036854775808", "null"},
        {"-9223372036854775808", "-9223372036854775808"},
        {"[1e400,1e308,1e-400]", "[null,1e308,1e-400]"},
        {"\"1e400 9223372036854775808\"", "\"1e400 9223372036854775808\""},
        /* No JSON, cut anywhere. */
        {"\"\\u00", "\"\\u00"},
        {"\"\\", "\"\\"},
        {"]]}", "]]}"},
        {"-", "-"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        must_become(ROWS[i][0], ROWS[i][1]);
}

static void test_depth(void **state)
{
    (void)state;
    enum { DEPTH = 100000 };
    char *text = xmalloc((size_t)2 * DEPTH + 1);
    memset(text, '[', DEPTH);
    memset(text + DEPTH, ']', DEPTH);
    text[2 * DEPTH] = '\0';
    for (size_t length = 2 * DEPTH; length >= 2 * DEPTH - 1; length--) {
        struct buf out = {0};
        odd_json_make_plain(text, length, &out);
        json_t *json = json_loadb(out.data, out.length, 0, NULL);
        assert_int_equal(json != NULL, length == 2 * DEPTH);
        json_decref(json);
        buf_done(&out);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_depth)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
