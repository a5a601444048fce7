/* How often edges of periods are looked for. */
#include "sink/claim/priority_claims.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void edges_are_looked_for_ten_times_an_interval_within_bounds(void **state)
{
    /* At least every 10 s, at most each second. */
    (void)state;
    static const struct {
        int64_t interval_s;
        int64_t edge_ms;
    } CASES[] = {{1, 1000},    {10, 1000},   {11, 1100},    {60, 6000},
                 {100, 10000}, {300, 10000}, {86400, 10000}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_int_equal(priority_claims_edge_ms(CASES[i].interval_s), CASES[i].edge_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edges_are_looked_for_ten_times_an_interval_within_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
