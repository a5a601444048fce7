/* Transport meter_events: body and receipt. */
#include "sink/transport/meter_event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void check_body(const char *event_name, const char *customer, int64_t value,
                       const char *expected)
{
    struct buf body = {0};
    const struct usage usage = {.event_name = event_name,
                                .customer = customer,
                                .quantity = dec_from_i64(value),
                                .identifier = "ml-0a",
                                .usage_at_s = 1793491260};
    meter_event_body(&body, &usage);
    assert_string_equal(body.data, expected);
    assert_int_equal(body.length, strlen(expected));
    buf_done(&body);
}

static void the_body_is_a_form_of_five_fields(void **state)
{
    /* Names as Stripe's clients write them, values percent-encoded, whole numbers without a point.
     */
    (void)state;
    check_body("llm_tokens", "cus_9", 42,
               "event_name=llm_tokens&payload[stripe_customer_id]=cus_9&payload[value]=42"
               "&identifier=ml-0a&timestamp=1793491260");
    check_body("a&b=c d", "cus_%\xc3\xa9", -999999999999999,
               "event_name=a%26b%3Dc%20d&payload[stripe_customer_id]=cus_%25%C3%A9"
               "&payload[value]=-999999999999999&identifier=ml-0a&timestamp=1793491260");
    check_body("m", "c", 0,
               "event_name=m&payload[stripe_customer_id]=c&payload[value]=0&identifier=ml-0a"
               "&timestamp=1793491260");
}

static void only_stripes_own_answer_is_a_receipt(void **state)
{
    /* A JSON object of that type with our identifier; a page of somebody else's is none. */
    (void)state;
    static const struct {
        const char *body;
        bool is;
    } CASES[] = {
        {"{\"object\":\"billing.meter_event\",\"identifier\":\"ml-0a\"}", true},
        {"{\"identifier\":\"ml-0a\",\"object\":\"billing.meter_event\",\"livemode\":true}", true},
        {"{\"object\":\"billing.meter_event\",\"identifier\":\"ml-0b\"}", false},
        {"{\"object\":\"billing.meter_event\"}", false},
        {"{\"object\":\"customer\",\"identifier\":\"ml-0a\"}", false},
        {"{\"object\":\"billing.meter_event\",\"identifier\":7}", false},
        {"[\"billing.meter_event\"]", false},
        {"{\"object\":\"billing.meter_event\",\"identif", false},
        {"<html>welcome</html>", false},
        {"\xff\xfe", false},
        {"", false},
    };
    const struct usage usage = {.identifier = "ml-0a"};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_int_equal(meter_event_is_receipt(CASES[i].body, strlen(CASES[i].body), &usage),
                         CASES[i].is);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_body_is_a_form_of_five_fields),
        cmocka_unit_test(only_stripes_own_answer_is_a_receipt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
