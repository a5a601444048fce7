/* Transport meter_event_stream: the event and the receipt. */
#include "sink/transport/meter_event_stream.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct usage usage_of(const char *event_name, int64_t value)
{
    return (struct usage){.event_name = event_name,
                          .customer = "cus_9",
                          .quantity = dec_from_i64(value),
                          .identifier = "ml-0a",
                          .usage_at_s = 1793491260};
}

static void an_event_is_json_with_texts_alone(void **state)
{
    /* The value is a text, the time RFC 3339 in UTC. */
    (void)state;
    struct buf body = {0};
    const struct usage usage = usage_of("llm_tokens", -42);
    meter_event_stream_body(&body, &usage);
    assert_string_equal(body.data,
                        "{\"event_name\":\"llm_tokens\",\"identifier\":\"ml-0a\",\"payload\":"
                        "{\"stripe_customer_id\":\"cus_9\",\"value\":\"-42\"},"
                        "\"timestamp\":\"2026-11-01T00:01:00.000Z\"}");
    buf_done(&body);
}

static void any_name_survives_its_quoting(void **state)
{
    /* Quotes, backslashes, line ends and other scripts come back to the byte. */
    (void)state;
    static const char *const NAMES[] = {"a\"b", "a\\b", "a\nb\x01", "\xc3\xa9\xe2\x82\xac", ""};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        struct buf body = {0};
        const struct usage usage = usage_of(NAMES[i], 1);
        meter_event_stream_body(&body, &usage);
        json_t *event = json_loadb(body.data, body.length, 0, NULL);
        assert_non_null(event);
        assert_string_equal(json_string_value(json_object_get(event, "event_name")), NAMES[i]);
        json_decref(event);
        buf_done(&body);
    }
}

static void an_object_without_an_error_is_the_receipt(void **state)
{
    /* Stripe answers {}; a page, a list or an error is none. */
    (void)state;
    static const struct {
        const char *body;
        bool is;
    } CASES[] = {
        {"{}", true},
        {" {\"livemode\":false}\n", true},
        {"{\"error\":{\"type\":\"api_error\"}}", false},
        {"[]", false},
        {"\"ok\"", false},
        {"<html>welcome</html>", false},
        {"{", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_int_equal(meter_event_stream_is_receipt(CASES[i].body, strlen(CASES[i].body), NULL),
                         CASES[i].is);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_json_with_texts_alone),
        cmocka_unit_test(any_name_survives_its_quoting),
        cmocka_unit_test(an_object_without_an_error_is_the_receipt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
