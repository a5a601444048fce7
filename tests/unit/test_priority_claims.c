/* How often the sink looks for periods that end. */
#include "sink/claim/priority_claims.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void ends_of_periods_are_looked_for_ten_times_an_interval_within_bounds(void **state)
{
    /* At least every 10 s, at most each second. */
    (void)state;
    static const struct {
        int64_t interval_s;
        int64_t pause_ms;
    } CASES[] = {{1, 1000},    {10, 1000},   {11, 1100},    {60, 6000},
                 {100, 10000}, {300, 10000}, {86400, 10000}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_int_equal(priority_claims_ends_pause_ms(CASES[i].interval_s), CASES[i].pause_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_of_periods_are_looked_for_ten_times_an_interval_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
