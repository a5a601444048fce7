/* Which webhook events are news, and when a failed one is tried again: the rules as tables. */
#include "webhookd/work/event_rules.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_order(void **state)
{
    (void)state;
    const struct {
        struct event_order order;
        enum event_age answer;
    } ROWS[] = {
        {{.event_created_s = 5}, EVENT_NEWS},
        {{.stored = true, .stored_created_s = 4, .event_created_s = 5}, EVENT_NEWS},
        {{.stored = true, .stored_created_s = 6, .event_created_s = 5}, EVENT_STALE},
        {{.stored = true, .stored_created_s = 5, .event_created_s = 5}, EVENT_UNCLEAR},
        {{.stored = true, .stored_created_s = 5, .event_created_s = 5, .event_first = true},
         EVENT_STALE},
        {{.stored = true, .stored_created_s = 5, .event_created_s = 5, .prior_matches = true},
         EVENT_NEWS},
        /* An older event is stale, even if the state before it is the stored one. */
        {{.stored = true, .stored_created_s = 6, .event_created_s = 5, .prior_matches = true},
         EVENT_STALE},
        {{.stored = true, .stored_created_s = -1, .event_created_s = 0}, EVENT_NEWS},
        {{.stored = true, .stored_created_s = 9, .event_created_s = 5, .event_final = true},
         EVENT_NEWS},
        {{.stored = true, .stored_created_s = 9, .event_created_s = 5, .fetched = true},
         EVENT_NEWS},
        {{.stored = true, .stored_final = true, .stored_created_s = 1, .event_created_s = 5},
         EVENT_STALE},
        {{.stored = true, .stored_final = true, .event_created_s = 5, .fetched = true},
         EVENT_STALE},
        {{.stored = true, .stored_final = true, .event_created_s = 5, .event_final = true},
         EVENT_STALE},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        assert_int_equal(event_age_of(&ROWS[i].order), ROWS[i].answer);
}

static void test_retry(void **state)
{
    (void)state;
    const struct {
        enum retry_cause cause;
        int64_t attempts;
        enum retry decision;
        int64_t wait_ms;
    } ROWS[] = {
        {CAUSE_REFUSED, 1, RETRY_LATER, 500},       {CAUSE_REFUSED, 2, RETRY_LATER, 1000},
        {CAUSE_REFUSED, 9, RETRY_LATER, 128000},    {CAUSE_REFUSED, 10, RETRY_FAIL, 0},
        {CAUSE_REFUSED, 99, RETRY_FAIL, 0},         {CAUSE_UNCLEAR, 4, RETRY_LATER, 4000},
        {CAUSE_UNCLEAR, 5, RETRY_IGNORE, 0},        {CAUSE_NO_TENANT, 7, RETRY_LATER, 32000},
        {CAUSE_NO_TENANT, 8, RETRY_IGNORE, 0},      {CAUSE_PEER, 10, RETRY_LATER, 256000},
        {CAUSE_PEER, 1000000, RETRY_LATER, 600000},
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
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_retry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
