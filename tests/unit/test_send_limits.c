/* The token bucket of all that call Stripe, and the circuit breaker of the sink. */
#include "common/stripe/stripe_limits.h"
#include "sink/send/send_limits.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int take_all(struct stripe_limits *r, int64_t now_ms)
{
    int n = stripe_limits_available(r, now_ms);
    stripe_limits_take(r, n);
    return n;
}

static void no_more_calls_than_the_rate_go_out(void **state)
{
    /* Over ten seconds, asked at any pace, it is ten times the rate and one bucket more at most. */
    (void)state;
    static const int RATES[] = {1, 3, 20, 900};
    static const int PACES_MS[] = {1, 7, 100, 1000};
    for (int i = 0; i < 16; i++) {
        struct stripe_limits r;
        int per_s = RATES[i / 4];
        int calls = 0;
        stripe_limits_init(&r, per_s, 0);
        for (int64_t now_ms = 0; now_ms <= 10000; now_ms += PACES_MS[i % 4])
            calls += take_all(&r, now_ms);
        assert_in_range(calls, 10 * per_s / 4, 10 * per_s + per_s / 4 + 2);
        if (PACES_MS[i % 4] <= 100)
            assert_in_range(calls, 10 * per_s - 1, 10 * per_s + per_s / 4 + 2);
    }
}

static void the_wait_is_until_one_call_may_go(void **state)
{
    /* After it, and not before, a call is available. */
    (void)state;
    struct stripe_limits r;
    stripe_limits_init(&r, 3, 1000);
    assert_int_equal(stripe_limits_wait_ms(&r, 1000), 0);
    assert_int_equal(take_all(&r, 1000), 2);
    int64_t wait_ms = stripe_limits_wait_ms(&r, 1000);
    assert_in_range(wait_ms, 333, 335);
    assert_int_equal(stripe_limits_available(&r, 1000 + wait_ms - 2), 0);
    assert_int_equal(stripe_limits_available(&r, 1000 + wait_ms), 1);
}

static void a_refusal_halves_the_rate_once_a_second_and_it_comes_back(void **state)
{
    /* Not below one call a second; back by a twentieth of the full rate a second. */
    (void)state;
    struct stripe_limits r;
    stripe_limits_init(&r, 100, 0);
    assert_int_equal(stripe_limits_slow(&r, 0, 0), 50000);
    assert_int_equal(stripe_limits_slow(&r, 0, 500), 0);
    assert_in_range(stripe_limits_slow(&r, 0, 1000), 25000, 27500);
    for (int64_t now_ms = 2000; now_ms < 10000; now_ms += 1000)
        stripe_limits_slow(&r, 0, now_ms);
    assert_in_range(r.now_milli, 1000, 6000);
    stripe_limits_available(&r, 11000);
    stripe_limits_available(&r, 40000);
    assert_int_equal(r.now_milli, 100000);
    stripe_limits_init(&r, 1, 0);
    assert_int_equal(stripe_limits_slow(&r, 0, 0), 1000);
}

static void a_pause_that_stripe_asks_for_is_kept_and_a_minute_at_most(void **state)
{
    /* Also by a refusal that does not halve; a shorter wish does not end a longer one. */
    (void)state;
    struct stripe_limits r;
    stripe_limits_init(&r, 100, 0);
    stripe_limits_slow(&r, 3000, 0);
    assert_int_equal(stripe_limits_available(&r, 2999), 0);
    assert_int_equal(stripe_limits_wait_ms(&r, 1000), 2000);
    assert_int_equal(stripe_limits_slow(&r, 5000, 500), 0);
    stripe_limits_slow(&r, 1000, 600);
    assert_int_equal(stripe_limits_available(&r, 5499), 0);
    assert_int_not_equal(stripe_limits_available(&r, 5500), 0);
    stripe_limits_slow(&r, 3600000, 10000);
    assert_int_equal(stripe_limits_available(&r, 69999), 0);
    assert_int_not_equal(stripe_limits_available(&r, 70000), 0);
}

static void a_429_is_the_accounts_or_an_objects(void **state)
{
    (void)state;
    assert_true(stripe_limit_is_the_accounts(NULL, NULL));
    assert_true(stripe_limit_is_the_accounts("global-rate", "rate_limit"));
    assert_true(stripe_limit_is_the_accounts("endpoint-rate", "rate_limit"));
    assert_false(stripe_limit_is_the_accounts("Endpoint-Concurrency", NULL));
    assert_false(stripe_limit_is_the_accounts("resource-specific", "rate_limit"));
    assert_false(stripe_limit_is_the_accounts(NULL, "lock_timeout"));
    assert_int_equal(stripe_retry_after_ms("7"), 7000);
    assert_int_equal(stripe_retry_after_ms("99999"), 3600000);
    assert_int_equal(stripe_retry_after_ms("Sun, 29 Nov 2026 03:15:09 GMT"), 0);
    assert_int_equal(stripe_retry_after_ms("-1"), 0);
    assert_int_equal(stripe_retry_after_ms(NULL), 0);
}

static void an_open_circuit_breaker_lets_one_probe_through_at_growing_intervals(void **state)
{
    /* 500 ms, doubling to a minute; what is told twice counts once. */
    (void)state;
    struct circuit_breaker g;
    int64_t now_ms = 0;
    breaker_init(&g);
    assert_int_equal(breaker_allowed(&g, 0), INT_MAX);
    static const int WAITS_MS[] = {500, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000};
    for (size_t i = 0; i < sizeof WAITS_MS / sizeof *WAITS_MS; i++) {
        assert_int_equal(breaker_trip(&g, now_ms, 0), WAITS_MS[i]);
        assert_int_equal(breaker_trip(&g, now_ms, 0), 0);
        assert_int_equal(breaker_wait_ms(&g, now_ms), WAITS_MS[i]);
        assert_int_equal(breaker_allowed(&g, now_ms + WAITS_MS[i] - 1), 0);
        now_ms += WAITS_MS[i];
        assert_int_equal(breaker_allowed(&g, now_ms), 1);
        breaker_probe(&g);
        assert_int_equal(breaker_allowed(&g, now_ms), 0);
    }
    assert_true(breaker_reset(&g));
    assert_false(breaker_reset(&g));
    assert_int_equal(breaker_allowed(&g, now_ms), INT_MAX);
    assert_int_equal(breaker_trip(&g, now_ms, 0), 500);
}

static void a_probe_without_work_is_asked_again_soon(void **state)
{
    /* Nothing was due: the wait does not grow; and a breaker that is closed is left alone. */
    (void)state;
    struct circuit_breaker g;
    breaker_init(&g);
    breaker_forget(&g, 0);
    assert_int_equal(breaker_allowed(&g, 0), INT_MAX);
    breaker_trip(&g, 0, 0);
    breaker_probe(&g);
    breaker_forget(&g, 1000);
    assert_int_equal(breaker_allowed(&g, 1499), 0);
    assert_int_equal(breaker_allowed(&g, 1500), 1);
    assert_int_equal(g.backoff.failures, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_calls_than_the_rate_go_out),
        cmocka_unit_test(the_wait_is_until_one_call_may_go),
        cmocka_unit_test(a_refusal_halves_the_rate_once_a_second_and_it_comes_back),
        cmocka_unit_test(a_pause_that_stripe_asks_for_is_kept_and_a_minute_at_most),
        cmocka_unit_test(a_429_is_the_accounts_or_an_objects),
        cmocka_unit_test(an_open_circuit_breaker_lets_one_probe_through_at_growing_intervals),
        cmocka_unit_test(a_probe_without_work_is_asked_again_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
