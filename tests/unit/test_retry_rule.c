/* When a message that was not taken is tried again. */
#include "notifier/outbox/retry_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct retry_terms TERMS = {1000, 300000, 259200000};

static struct message judge(enum message_end end, int64_t attempts, int64_t failures,
                            int64_t waited_ms)
{
    struct message m = {
        .end = end, .attempts = attempts, .failures = failures, .waited_ms = waited_ms};
    retry_rule(&TERMS, &m, 0);
    return m;
}

static void waits_double_up_to_the_longest(void **state)
{
    static const int64_t WAITS[] = {1000,  2000,   4000,   8000,   16000, 32000,
                                    64000, 128000, 256000, 300000, 300000};
    (void)state;
    for (int i = 0; i < 11; i++)
        assert_int_equal(judge(MESSAGE_DELAYED, i + 1, 0, 0).wait_ms, WAITS[i]);
    assert_int_equal(judge(MESSAGE_DELAYED, INT64_MAX, 0, 0).wait_ms, 300000);
}

static void a_message_waits_as_long_as_its_address_that_failed_before(void **state)
{
    /* At the first failure of an address it is not known whether the message is at fault. */
    (void)state;
    struct message first = judge(MESSAGE_ADDRESS_DOWN, 5, 0, 0);
    assert_int_equal(first.wait_ms, 16000);
    assert_int_equal(first.address_wait_ms, 1000);
    struct message later = judge(MESSAGE_ADDRESS_DOWN, 1, 6, 0);
    assert_int_equal(later.wait_ms, 64000);
    assert_int_equal(later.address_wait_ms, 64000);
}

static void it_is_given_up_in_the_end(void **state)
{
    (void)state;
    assert_int_equal(judge(MESSAGE_SENT, 1, 0, 0).wait_ms, -1);
    assert_int_equal(judge(MESSAGE_REFUSED, 1, 0, 0).wait_ms, -1);
    assert_int_equal(judge(MESSAGE_DELAYED, 900, 0, 259199999).wait_ms, 300000);
    assert_int_equal(judge(MESSAGE_DELAYED, 900, 0, 259200000).wait_ms, -1);
    struct message m = judge(MESSAGE_ADDRESS_DOWN, 9, 3, 259200000);
    assert_int_equal(m.wait_ms, -1);
    assert_int_equal(m.address_wait_ms, 8000);
}

static void what_never_fails_is_tried_for_ever(void **state)
{
    static const struct retry_terms ENDLESS = {500, 2000, -1};
    struct message m = {.end = MESSAGE_DELAYED, .attempts = 9, .waited_ms = INT64_MAX};
    (void)state;
    retry_rule(&ENDLESS, &m, 0);
    assert_int_equal(m.wait_ms, 2000);
}

static void while_the_channel_is_down_its_own_wait_counts(void **state)
{
    (void)state;
    assert_int_equal(judge(MESSAGE_CHANNEL_DOWN, 7, 0, 0).wait_ms, 0);
    assert_int_equal(judge(MESSAGE_CHANNEL_DOWN, 7, 0, 259200000).wait_ms, -1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_double_up_to_the_longest),
        cmocka_unit_test(a_message_waits_as_long_as_its_address_that_failed_before),
        cmocka_unit_test(it_is_given_up_in_the_end),
        cmocka_unit_test(what_never_fails_is_tried_for_ever),
        cmocka_unit_test(while_the_channel_is_down_its_own_wait_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
