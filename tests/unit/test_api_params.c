/* What a request may say: targets, JSON, types and ranges, and the rate of a key. */
#include "api/door/params.h"
#include "api/keys/rate_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const COLORS[] = {"red", "blue", NULL};
static const struct api_param ITEM[] = {
    {.place = API_BODY, .name = "price", .type = API_DECIMAL, .required = true, .min = 0},
    {.place = API_BODY, .name = "note", .type = API_TEXT, .min = 0, .max = 5, .nullable = true},
    API_PARAMS_END};
static const struct api_param WORD[] = {
    {.place = API_BODY, .name = "", .type = API_TEXT, .min = 1, .max = 3}, API_PARAMS_END};
static const struct api_param PARAMS[] = {
    {.place = API_PATH, .name = "id", .type = API_TEXT, .min = 1, .max = 8},
    {.place = API_QUERY, .name = "n", .type = API_WHOLE, .min = -5, .max = 5, .fallback = "3"},
    {.place = API_QUERY, .name = "yes", .type = API_BOOL},
    {.place = API_QUERY, .name = "at", .type = API_TIME},
    {.place = API_BODY, .name = "color", .type = API_CHOICE, .choices = COLORS},
    {.place = API_BODY, .name = "items", .type = API_LIST, .fields = ITEM, .min = 1, .max = 2},
    {.place = API_BODY, .name = "words", .type = API_LIST, .fields = WORD, .min = 0, .max = 2},
    {.place = API_BODY, .name = "fee", .type = API_MONEY},
    API_PARAMS_END};
static const struct api_route ROUTE = {.method = "PUT", .path = "/x/{id}", .params = PARAMS};

static const char *no_header(void *owner, const char *name)
{
    (void)owner, (void)name;
    return NULL;
}

static int check(const char *text, const char *body, struct api_value *values,
                 struct params_fault *f)
{
    struct target t;
    const char *why;
    memset(values, 0, 8 * sizeof *values);
    assert_int_equal(target_parse(text, &t, &why), 0);
    json_t *json = params_load_body(body, strlen(body), f);
    int result = json ? params_check(&ROUTE, &t, json, no_header, NULL, values, f) : -1;
    json_decref(json);
    target_done(&t);
    return result;
}

static void must(const char *text, const char *body)
{
    struct api_value values[8];
    struct params_fault f;
    if (check(text, body, values, &f))
        fail_msg("%s %s: %s", text, body, f.message);
}

static void must_not(const char *text, const char *body, const char *param)
{
    struct api_value values[8];
    struct params_fault f;
    assert_int_equal(check(text, body, values, &f), -1);
    assert_string_equal(f.param, param);
    assert_int_equal(f.status, 400);
    assert_true(f.message[0] != '\0');
}

static void what_fits_is_taken(void **state)
{
    struct api_value values[8];
    struct params_fault f;
    (void)state;
    must("/x/a%2Fb", "{}");
    must("/x/a?n=-5&yes=true&at=2026-02-28T23:59:59.5%2B01:00", "{\"color\": \"red\"}");
    must("/x/a", "{\"items\": [{\"price\": \"1.5\", \"note\": null}], \"words\": []}");
    must("/x/a", "{\"fee\": {\"amount_minor\": 5, \"currency\": \"eur\"}}");
    assert_int_equal(check("/x/a", "{}", values, &f), 0);
    assert_int_equal(values[1].whole, 3);
    assert_false(values[2].given);
}

static void what_does_not_is_named(void **state)
{
    (void)state;
    must_not("/x/123456789", "{}", "id");
    must_not("/x/a?n=6", "{}", "n");
    must_not("/x/a?n=", "{}", "n");
    must_not("/x/a?n=1&n=1", "{}", "n");
    must_not("/x/a?m=1", "{}", "m");
    must_not("/x/a?color=red", "{}", "color");
    must_not("/x/a?yes=1", "{}", "yes");
    must_not("/x/a", "{\"color\": \"green\"}", "color");
    must_not("/x/a", "{\"color\": 1}", "color");
    must_not("/x/a", "{\"id\": \"a\"}", "id");
    must_not("/x/a", "{\"items\": []}", "items");
    must_not("/x/a", "{\"items\": [{}]}", "items[0].price");
    must_not("/x/a", "{\"items\": [{\"price\": \"1\"}, {\"price\": \"-1\"}]}", "items[1].price");
    must_not("/x/a", "{\"items\": [{\"price\": 1}]}", "items[0].price");
    must_not("/x/a", "{\"items\": [{\"price\": \"1\", \"note\": \"123456\"}]}", "items[0].note");
    must_not("/x/a", "{\"items\": [{\"price\": \"1\", \"x\": 1}]}", "items[0].x");
    must_not("/x/a", "{\"items\": [7]}", "items[0]");
    must_not("/x/a", "{\"items\": {}}", "items");
    must_not("/x/a", "{\"words\": [\"a\", \"\"]}", "words[1]");
    must_not("/x/a", "{\"words\": [\"a\\nb\"]}", "words[0]");
    must_not("/x/a", "{\"fee\": {\"amount_minor\": 5}}", "fee.currency");
    must_not("/x/a", "{\"fee\": {\"amount_minor\": 5.5, \"currency\": \"eur\"}}",
             "fee.amount_minor");
    must_not("/x/a", "{\"color\": \"red\", \"color\": \"red\"}", "color");
}

static void times_are_those_of_rfc_3339(void **state)
{
    static const char *const GOOD[] = {
        "2026-11-30T12:00:00Z",        "2024-02-29T00:00:00Z",
        "2000-02-29T00:00:00Z",        "2026-11-30T12:00:00.123456-14:00",
        "9999-12-31T23:59:59.999999Z", "9999-12-31T09:59:59-14:00",
        "1970-01-01T14:00:00+14:00",   "1970-01-01T00:00:00-14:00"};
    static const char *const BAD[] = {"",
                                      "now",
                                      "2026-11-30",
                                      "2026-11-30T12:00:00",
                                      "2026-11-30 12:00:00Z",
                                      "2026-02-29T00:00:00Z",
                                      "1900-02-29T00:00:00Z",
                                      "2100-02-29T00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-11-31T00:00:00Z",
                                      "2026-11-30T24:00:00Z",
                                      "2026-11-30T12:60:00Z",
                                      "2026-11-30T12:00:60Z",
                                      "2026-11-30T12:00:00.Z",
                                      "2026-11-30T12:00:00.1234567Z",
                                      "2026-11-30T12:00:00+15:00",
                                      "2026-11-30T12:00:00+0100",
                                      "1969-12-31T23:59:59Z",
                                      "1970-01-01T13:59:59+14:00",
                                      "9999-12-31T23:59:59-14:00",
                                      "9999-12-31T23:59:00-00:01",
                                      "20x6-11-30T12:00:00Z",
                                      "2026-11-30T12:00:00Zx"};
    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
        assert_true(params_is_time(GOOD[i]));
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_false(params_is_time(BAD[i]));
}

static void a_bucket_holds_a_second(void **state)
{
    struct rate_bucket b = {0};
    int64_t now_us = 5000000;
    (void)state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(rate_take(&b, now_us, 10), 0);
    assert_int_equal(rate_take(&b, now_us, 10), 100000);
    assert_int_equal(rate_take(&b, now_us + 50000, 10), 50000);
    assert_int_equal(rate_take(&b, now_us + 100000, 10), 0);
    assert_true(rate_take(&b, now_us + 100000, 10) > 0);
    for (int i = 0; i < 10; i++)
        assert_int_equal(rate_take(&b, now_us + 2000000, 10), 0);
    assert_true(rate_take(&b, now_us + 2000000, 10) > 0);
}

static void targets_are_decoded_once(void **state)
{
    struct target t;
    const char *why;
    (void)state;
    assert_int_equal(target_parse("/a%2525/b+c?d+e=f%2Bg&&h", &t, &why), 0);
    assert_string_equal(t.segments[0], "a%25");
    assert_string_equal(t.segments[1], "b+c");
    assert_string_equal(t.query[0].name, "d e");
    assert_string_equal(t.query[0].value, "f+g");
    assert_string_equal(t.query[1].name, "h");
    assert_string_equal(t.query[1].value, "");
    assert_int_equal(t.query_n, 2);
    target_done(&t);
    static const char *const BAD[] = {"",     "x",      "*",    "/%",      "/%4",
                                      "/%4g", "/a?b=%", "/%00", "/%c3%28", "/a%7f"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_int_equal(target_parse(BAD[i], &t, &why), -1);
        target_done(&t);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_taken),          cmocka_unit_test(what_does_not_is_named),
        cmocka_unit_test(times_are_those_of_rfc_3339), cmocka_unit_test(a_bucket_holds_a_second),
        cmocka_unit_test(targets_are_decoded_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
