/* Billing periods that are known, by tenant and minute. */
#include "aggregator/periods.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const unsigned char KEY[16] = "a fixed test key";
static struct periods *periods;

static int setup(void **state)
{
    (void)state;
    periods = periods_new(KEY);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    periods_free(periods);
    return 0;
}

static void add(const char *tenant, int64_t start_ms, int64_t end_ms)
{
    periods_add(periods, (struct text){.data = tenant, .length = (uint32_t)strlen(tenant)},
                (struct period){.start_ms = start_ms, .end_ms = end_ms});
}

/* The start of the known period, or -1. */
static int64_t find(const char *tenant, int64_t minute_ms)
{
    struct period out = {.start_ms = -1};

    if (!periods_find(periods, (struct text){.data = tenant, .length = (uint32_t)strlen(tenant)},
                      minute_ms, &out))
        return -1;
    assert_true(out.start_ms <= minute_ms && minute_ms < out.end_ms);
    return out.start_ms;
}

static void a_minute_is_in_the_period_that_holds_it(void **state)
{
    /* The start belongs to it, the end does not. */
    (void)state;
    add("acme", 60000, 180000);
    add("acme", 180000, 600000);
    assert_int_equal(find("acme", 0), -1);
    assert_int_equal(find("acme", 60000), 60000);
    assert_int_equal(find("acme", 120000), 60000);
    assert_int_equal(find("acme", 180000), 180000);
    assert_int_equal(find("acme", 600000), -1);
}

static void tenants_do_not_share_periods(void **state)
{
    /* Nor do those of which one's name begins the other's. */
    (void)state;
    add("acme", 0, 60000);
    assert_int_equal(find("acm", 0), -1);
    assert_int_equal(find("acme2", 0), -1);
    assert_int_equal(find("", 0), -1);
}

static void a_tenant_is_forgotten_whole_and_alone(void **state)
{
    (void)state;
    add("acme", 0, 60000);
    add("acme", 60000, 120000);
    add("other", 0, 60000);
    periods_forget(periods, TEXT("acme"));
    periods_forget(periods, TEXT("nobody"));
    assert_int_equal(find("acme", 0), -1);
    assert_int_equal(find("acme", 60000), -1);
    assert_int_equal(find("other", 0), 0);
    assert_int_equal(periods_count(periods), 1);
    periods_forget_all(periods);
    assert_int_equal(find("other", 0), -1);
    assert_int_equal(periods_count(periods), 0);
}

static void many_tenants_stay_apart_while_the_table_grows(void **state)
{
    enum { N = 20000 };
    char name[16];

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "t%d", i);
        add(name, i, i + 100);
    }
    assert_int_equal(periods_count(periods), N);
    for (int i = 0; i < N; i += 2) {
        snprintf(name, sizeof name, "t%d", i);
        periods_forget(periods, (struct text){.data = name, .length = (uint32_t)strlen(name)});
    }
    for (int i = 0; i < N; i++) {
        snprintf(name, sizeof name, "t%d", i);
        assert_int_equal(find(name, i + 99), i % 2 == 0 ? -1 : i);
    }
    assert_int_equal(periods_count(periods), N / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_minute_is_in_the_period_that_holds_it, setup, teardown),
        cmocka_unit_test_setup_teardown(tenants_do_not_share_periods, setup, teardown),
        cmocka_unit_test_setup_teardown(a_tenant_is_forgotten_whole_and_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(many_tenants_stay_apart_while_the_table_grows, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
