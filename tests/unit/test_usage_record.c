/* Transport usage_records: body, receipt, and what comes too late. */
#include "sink/transport/usage_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void the_body_increments_one_minute(void **state)
{
    /* Quantity, Unix seconds and the action; the item stands in the path, the identifier is the
     * Idempotency-Key alone. */
    (void)state;
    struct buf body = {0};
    const struct usage usage = {.event_name = "calls",
                                .customer = "cus_9",
                                .subscription_item = "si_1",
                                .quantity = dec_from_i64(999999999999999),
                                .identifier = "ml-0a",
                                .usage_at_s = 1793491260};
    usage_record_body(&body, &usage);
    assert_string_equal(body.data,
                        "quantity=999999999999999&timestamp=1793491260&action=increment");
    buf_done(&body);
}

static void a_receipt_tells_our_quantity_and_our_item(void **state)
{
    /* A record has no identifier: type, quantity and item must be ours. */
    (void)state;
    static const struct {
        const char *body;
        bool is;
    } CASES[] = {
        {"{\"object\":\"usage_record\",\"quantity\":7,\"subscription_item\":\"si_1\"}", true},
        {"{\"id\":\"mbur_1\",\"object\":\"usage_record\",\"quantity\":7,"
         "\"subscription_item\":\"si_1\",\"timestamp\":1}",
         true},
        {"{\"object\":\"usage_record\",\"quantity\":8,\"subscription_item\":\"si_1\"}", false},
        {"{\"object\":\"usage_record\",\"quantity\":\"7\",\"subscription_item\":\"si_1\"}", false},
        {"{\"object\":\"usage_record\",\"quantity\":7.0,\"subscription_item\":\"si_1\"}", false},
        {"{\"object\":\"usage_record\",\"quantity\":7,\"subscription_item\":\"si_2\"}", false},
        {"{\"object\":\"usage_record\",\"quantity\":7}", false},
        {"{\"object\":\"usage_record\",\"subscription_item\":\"si_1\"}", false},
        {"{\"object\":\"billing.meter_event\",\"quantity\":7,\"subscription_item\":\"si_1\"}",
         false},
        {"<html>welcome</html>", false},
        {"", false},
    };
    const struct usage usage = {.subscription_item = "si_1", .quantity = dec_from_i64(7)};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_int_equal(usage_record_is_receipt(CASES[i].body, strlen(CASES[i].body), &usage),
                         CASES[i].is);
}

static void a_period_that_is_over_is_told_by_words(void **state)
{
    /* As Stripe was seen to say it; anything else is an ordinary refusal. */
    (void)state;
    assert_true(usage_record_is_too_late(
        "Cannot create the usage record with this timestamp because timestamps must be after the "
        "subscription's last invoice period (or current period start time)."));
    assert_true(usage_record_is_too_late(
        "Cannot create the usage record because the subscription has been canceled."));
    assert_false(usage_record_is_too_late("No such subscription item: 'si_1'"));
    assert_false(usage_record_is_too_late(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_body_increments_one_minute),
        cmocka_unit_test(a_receipt_tells_our_quantity_and_our_item),
        cmocka_unit_test(a_period_that_is_over_is_told_by_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
