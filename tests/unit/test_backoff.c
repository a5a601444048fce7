/* Waiting to retry. */
#include "common/backoff.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void waits_double_up_to_the_maximum(void **state)
{
    /* Without jitter the waits are first, twice that, and so on, then the maximum for ever. */
    (void)state;
    static const uint64_t expected[] = {500,   1000,  2000,  4000,  8000,
                                        16000, 32000, 60000, 60000, 60000};
    struct backoff b = BACKOFF(500, 60000);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(backoff_next_ms(&b, 0), expected[i]);
    assert_int_equal(b.failures, 10);
}

static void jitter_adds_up_to_a_fifth(void **state)
{
    /* The random part lies between nothing and 20 % of the wait, both included. */
    (void)state;
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    for (uint32_t random = 0; random < 100000; random++) {
        struct backoff b = BACKOFF(1000, 60000);
        uint64_t wait_ms = backoff_next_ms(&b, random * 2654435761U);
        least = wait_ms < least ? wait_ms : least;
        most = wait_ms > most ? wait_ms : most;
    }
    assert_int_equal(least, 1000);
    assert_int_equal(most, 1200);
}

static void a_success_starts_again(void **state)
{
    /* After a reset the next wait is the first one. */
    (void)state;
    struct backoff b = BACKOFF(50, 2000);
    for (int i = 0; i < 5; i++)
        backoff_next_ms(&b, 0);
    backoff_reset(&b);
    assert_int_equal(b.failures, 0);
    assert_int_equal(backoff_next_ms(&b, 0), 50);
}

static void extremes_do_not_wrap(void **state)
{
    /* A first wait above the maximum, huge waits and countless failures never wrap around. */
    (void)state;
    struct backoff above = BACKOFF(5000, 2000);
    assert_int_equal(backoff_next_ms(&above, 0), 2000);
    struct backoff none = BACKOFF(0, 2000);
    assert_int_equal(backoff_next_ms(&none, UINT32_MAX), 0);
    struct backoff huge = BACKOFF(UINT64_MAX / 4 + 1, UINT64_MAX / 2);
    backoff_next_ms(&huge, 0);
    assert_true(backoff_next_ms(&huge, 0) == UINT64_MAX / 2);
    assert_true(backoff_next_ms(&huge, 0) == UINT64_MAX / 2);
    struct backoff old = {.first_ms = 1, .max_ms = 1000, .failures = UINT_MAX};
    assert_int_equal(backoff_next_ms(&old, 0), 1000);
    assert_int_equal(old.failures, UINT_MAX);
}

static void every_random_bit_varies(void **state)
{
    /* Over a hundred numbers each of the 32 bits is seen as 0 and as 1. */
    (void)state;
    uint32_t ones = 0;
    uint32_t zeros = 0;
    for (int i = 0; i < 100; i++) {
        uint32_t random = backoff_random();
        ones |= random;
        zeros |= ~random;
    }
    assert_true(ones == UINT32_MAX);
    assert_true(zeros == UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waits_double_up_to_the_maximum),
        cmocka_unit_test(jitter_adds_up_to_a_fifth),
        cmocka_unit_test(a_success_starts_again),
        cmocka_unit_test(extremes_do_not_wrap),
        cmocka_unit_test(every_random_bit_varies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
