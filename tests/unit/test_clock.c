/* Time in milliseconds and its text and PostgreSQL forms. */
#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MORNING_MS 1795243270920LL /* 2026-11-21T06:41:10.920Z */

static void iso_text(void **state)
{
    /* A time prints as UTC with three digits of milliseconds and a Z, before 1970 too. */
    (void)state;
    static const struct {
        int64_t unix_ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-1000, "1969-12-31T23:59:59.000Z"},
        {MORNING_MS, "2026-11-21T06:41:10.920Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {INT64_MAX, "292278994-08-17T07:12:55.807Z"},
        {INT64_MIN, "-292275055-05-16T16:47:04.192Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[CLOCK_TEXT_SIZE];
        clock_format_iso(cases[i].unix_ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void rfc3339_times_are_read_in_utc(void **state)
{
    /* With a fraction or without; other zones and anything around it are refused. */
    (void)state;
    static const struct {
        const char *text;
        int64_t unix_s;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-21T06:41:10.920Z", MORNING_MS / 1000},
        {"2026-11-21T06:41:10Z", MORNING_MS / 1000},
        {"2026-11-21T06:41:10.Z", MORNING_MS / 1000},
        {"2026-11-21T06:41:10+01:00", -1},
        {"2026-11-21T06:41:10", -1},
        {"2026-11-21T06:41:10.920Z ", -1},
        {"2026-11-21 06:41:10Z", -1},
        {"1793491260", -1},
        {"", -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(clock_parse_rfc3339_s(cases[i].text), cases[i].unix_s);
}

static void minutes_and_days_start_at_or_before(void **state)
{
    /* The minute and the day that hold a time start at or before it, also below 0. */
    (void)state;
    static const struct {
        int64_t unix_ms;
        int64_t minute;
        int64_t day;
    } cases[] = {
        {0, 0, 0},
        {59999, 0, 0},
        {60000, 60000, 0},
        {DAY_MS - 1, DAY_MS - MINUTE_MS, 0},
        {DAY_MS, DAY_MS, DAY_MS},
        {-1, -60000, -DAY_MS},
        {-60000, -60000, -DAY_MS},
        {-60001, -120000, -DAY_MS},
        {-DAY_MS, -DAY_MS, -DAY_MS},
        {MORNING_MS, 1795243260000, 1795219200000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(clock_minute_of(cases[i].unix_ms), cases[i].minute);
        assert_int_equal(clock_day_of(cases[i].unix_ms), cases[i].day);
    }
}

static void ticks_lie_after_now(void **state)
{
    /* The next tick is the first multiple of the interval strictly after now. */
    (void)state;
    static const struct {
        int64_t now_ms;
        int64_t interval_ms;
        int64_t tick_ms;
    } cases[] = {
        {0, 1000, 1000},
        {1, 1000, 1000},
        {999, 1000, 1000},
        {1000, 1000, 2000},
        {-1, 1000, 0},
        {-1000, 1000, 0},
        {-1001, 1000, -1000},
        {MORNING_MS, 300000, 1795243500000},
        {7, 1, 8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(clock_next_tick(cases[i].now_ms, cases[i].interval_ms), cases[i].tick_ms);
}

static void postgres_time_counts_from_2000(void **state)
{
    /* timestamptz counts microseconds from 2000; below a millisecond it is rounded down. */
    (void)state;
    assert_int_equal(clock_unix_ms_to_pg_us(946684800000), 0);
    assert_int_equal(clock_unix_ms_to_pg_us(0), -946684800000000);
    assert_int_equal(clock_unix_ms_to_pg_us(MORNING_MS), 848558470920000);
    assert_int_equal(clock_pg_us_to_unix_ms(848558470920000), MORNING_MS);
    assert_int_equal(clock_pg_us_to_unix_ms(848558470920999), MORNING_MS);
    assert_int_equal(clock_pg_us_to_unix_ms(-1), 946684799999);
    assert_int_equal(clock_pg_us_to_unix_ms(-1000), 946684799999);
    assert_int_equal(clock_pg_us_to_unix_ms(-1001), 946684799998);
}

static void postgres_infinities_convert(void **state)
{
    /* Infinity and -infinity, which are the extreme integers, become times far away. */
    (void)state;
    assert_true(clock_pg_us_to_unix_ms(INT64_MAX) > 253402300799999);
    assert_true(clock_pg_us_to_unix_ms(INT64_MIN) < -253402300799999);
}

static void clocks_advance(void **state)
{
    /* The monotonic clock never goes back, and the wall clock is past 2020. */
    (void)state;
    int64_t last_us = clock_monotonic_us();
    for (int i = 0; i < 1000; i++) {
        int64_t now_us = clock_monotonic_us();
        assert_true(now_us >= last_us);
        last_us = now_us;
    }
    assert_true(clock_monotonic_ms() >= last_us / 1000);
    assert_true(clock_unix_ms() > 1600000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iso_text),
        cmocka_unit_test(rfc3339_times_are_read_in_utc),
        cmocka_unit_test(minutes_and_days_start_at_or_before),
        cmocka_unit_test(ticks_lie_after_now),
        cmocka_unit_test(postgres_time_counts_from_2000),
        cmocka_unit_test(postgres_infinities_convert),
        cmocka_unit_test(clocks_advance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
