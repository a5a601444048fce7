/* Events are read without the members that nobody asks for, as jansson would read them; and what is
 * not certain is left to jansson. What follows from events is compared by fuzz_objects. */
#include "common/stripe/objects/event_json.h"

#include "common/str.h"
#include "common/stripe/objects/stripe_event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void must_read(const char *text, const char *wanted)
{
    json_t *json = event_json_load(text, strlen(text));
    json_t *other = json_loads(wanted, 0, NULL);
    assert_non_null(other);
    if (!json_equal(json, other))
        fail_msg("%s", text);
    json_decref(other);
    json_decref(json);
}

static void test_read(void **state)
{
    (void)state;
    const char *const ROWS[][2] = {
        {"{}", "{}"},
        {" {\n \"id\" : \"evt_1\" ,\r\t\"unread\":[1,{\"id\":2}] } \n", "{\"id\":\"evt_1\"}"},
        {"{\"object\":{\"id\":1,\"address\":{\"id\":5},\"items\":[],\"plan\":{}}}",
         "{\"object\":{\"id\":1,\"items\":[],\"plan\":{}}}"},
        {"{\"data\":[{\"id\":null,\"x\":0},[true,false],\"a\"]}",
         "{\"data\":[{\"id\":null},[true,false],\"a\"]}"},
        {"{\"id\":-12,\"tax\":0,\"total\":999999999999999999,\"percent_off\":12.25}",
         "{\"id\":-12,\"tax\":0,\"total\":999999999999999999,\"percent_off\":12.25}"},
        {"{\"email\":\"a\\u00e9\\n\\\"\\\\\",\"number\":\"\xc3\xa9\"}",
         "{\"email\":\"a\xc3\xa9\\n\\\"\\\\\",\"number\":\"\xc3\xa9\"}"},
        /* The last one counts. */
        {"{\"id\":1,\"id\":2}", "{\"id\":2}"},
        {"{\"id\":{\"id\":1},\"id\":{\"tax\":2}}", "{\"id\":{\"tax\":2}}"},
        {"{\"tiers\":[{\"up_to\":null,\"deep\":{\"er\":1.5}}],\"reason\":{\"error_types\":[1]}}",
         "{\"tiers\":[{\"up_to\":null,\"deep\":{\"er\":1.5}}],\"reason\":{\"error_types\":[1]}}"},
        {"{\"x\":\"\\u00e9\\t\xf0\x9f\x98\x80\",\"y\":[1.50,-0,0.1,\"\"],\"z\":{\"\":{}}}", "{}"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        must_read(ROWS[i][0], ROWS[i][1]);
}

/* Of these, some are JSON, some are JSON that jansson refuses, and some are none. */
static const char *const UNSURE[] = {"",
                                     "[]",
                                     "7",
                                     "{",
                                     "{\"",
                                     "{\"id",
                                     "{\"id\"",
                                     "{\"id\":",
                                     "{\"id\":1",
                                     "{\"id\":\"1",
                                     "{\"id\":1,",
                                     "{\"id\":1,}",
                                     "{\"id\" 1}",
                                     "{id:1}",
                                     "{,}",
                                     "{\"id\":1}}",
                                     "{\"id\":1} x",
                                     "{\"id\":tru}",
                                     "{\"x\":nul}",
                                     "{\"x\":[1,]}",
                                     "{\"x\":[1 2]}",
                                     "{\"x\":[1}",
                                     "{\"x\":{\"y\":1]}",
                                     "{\"x\":}",
                                     "{\"id\":}",
                                     "{\"x\":01}",
                                     "{\"x\":-}",
                                     "{\"x\":1.}",
                                     "{\"x\":.5}",
                                     "{\"x\":+1}",
                                     "{\"x\":1e5}",
                                     "{\"x\":1.5E400}",
                                     "{\"x\":12345678901234567890}",
                                     "{\"id\":0x1}",
                                     "{\"x\":\"\\q\"}",
                                     "{\"x\":\"\\u12\"}",
                                     "{\"x\":\"\\u12g4\"}",
                                     "{\"x\":\"\\u0000\"}",
                                     "{\"x\":\"\\ud83d\\ude00\"}",
                                     "{\"x\":\"\\ud83d\"}",
                                     "{\"x\":\"\n\"}",
                                     "{\"x\":\"\xff\"}",
                                     "{\"x\":\"\xc0\x80\"}",
                                     "{\"x\":\"\xed\xa0\x80\"}",
                                     "{\"x\":\"\xc3\"}",
                                     "{\"i\\u0064\":1}"};

static void test_unsure(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof UNSURE / sizeof *UNSURE; i++) {
        json_t *json = event_json_load(UNSURE[i], strlen(UNSURE[i]));
        if (json)
            fail_msg("%s", UNSURE[i]);
    }
    assert_null(event_json_load("{\"id\":1}\0", 9));
    assert_null(event_json_load("{\"id\":\"\0\"}", 10));
}

static void test_depth(void **state)
{
    (void)state;
    const char *const FORMS[][3] = {{"{\"x\":", "[", "]"}, {"{\"id\":", "[", "]"}};
    for (size_t form = 0; form < 2; form++)
        for (size_t depth = 1; depth < 100000; depth *= 7) {
            struct buf text = {0};
            buf_add_str(&text, FORMS[form][0]);
            for (size_t i = 0; i < depth; i++)
                buf_add_str(&text, FORMS[form][1]);
            for (size_t i = 0; i < depth; i++)
                buf_add_str(&text, FORMS[form][2]);
            buf_add_str(&text, "}");
            json_t *json = event_json_load(text.data, text.length);
            assert_int_equal(json != NULL, depth < 40);
            json_decref(json);
            buf_done(&text);
        }
}

/* Cut anywhere, an event is none. */
static void test_cut(void **state)
{
    (void)state;
    static const char TEXT[] =
        "{\"id\":\"evt_1\",\"type\":\"a\",\"created\":5,\"x\":[{\"y\":\"\\u00e9\xc3\xa9\"},1.5],"
        "\"data\":{\"object\":{\"id\":\"in_1\",\"lines\":{\"data\":[true,null]}}}}";
    for (size_t length = 0; length < sizeof TEXT; length++) {
        char *text = xmalloc(length + 1); /* so that nothing is read beyond it unseen */
        struct stripe_event event;
        struct err e;
        memcpy(text, TEXT, length);
        json_t *json = event_json_load(text, length);
        assert_int_equal(json != NULL, length == sizeof TEXT - 1);
        json_decref(json);
        int refused = stripe_event_parse(text, length, &event, &e);
        assert_int_equal(refused == 0, length == sizeof TEXT - 1);
        if (!refused)
            stripe_event_done(&event);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_read), cmocka_unit_test(test_unsure),
                                       cmocka_unit_test(test_depth), cmocka_unit_test(test_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
