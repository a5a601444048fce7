/* When a webhook event that could not be worked is tried again: the rule as a table. */
#include "webhookd/work/event_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_retry(void **state)
{
    (void)state;
    const struct {
        enum retry_cause cause;
        int64_t attempts;
        enum retry decision;
        int64_t wait_ms;
    } ROWS[] = {
        {CAUSE_REFUSED, 1, RETRY_LATER, 500},      {CAUSE_REFUSED, 2, RETRY_LATER, 1000},
        {CAUSE_REFUSED, 7, RETRY_LATER, 32000},    {CAUSE_REFUSED, 8, RETRY_FAIL, 0},
        {CAUSE_REFUSED, 99, RETRY_FAIL, 0},        {CAUSE_PEER, 7, RETRY_LATER, 32000},
        {CAUSE_PEER, 1000000, RETRY_LATER, 60000},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        int64_t wait_ms = 0;
        assert_int_equal(retry_decide(ROWS[i].cause, ROWS[i].attempts, 0, &wait_ms),
                         ROWS[i].decision);
        assert_int_equal(wait_ms, ROWS[i].wait_ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_retry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
