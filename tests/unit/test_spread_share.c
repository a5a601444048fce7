/* How many streams each process has. */
#include "aggregator/spread.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void shares_are_even_and_add_up(void **state)
{
    /* Whatever their number: all shares together are all streams, and differ by one at most. */
    (void)state;
    for (int64_t shards = 1; shards <= 40; shards++)
        for (int64_t running = 1; running <= 50; running++) {
            int64_t sum = 0;
            for (int64_t older = 0; older < running; older++) {
                int64_t share = spread_share(shards, running, older);
                assert_in_range(share - shards / running, 0, 1);
                sum += share;
            }
            assert_int_equal(sum, shards);
        }
}

static void one_that_joins_only_takes(void **state)
{
    /* The youngest joins last: nobody who was there gets more than before. */
    (void)state;
    for (int64_t shards = 1; shards <= 40; shards++)
        for (int64_t running = 1; running <= 50; running++)
            for (int64_t older = 0; older < running; older++)
                assert_true(spread_share(shards, running + 1, older) <=
                            spread_share(shards, running, older));
}

static void nobody_takes_what_is_not_there(void **state)
{
    /* One that is not known to run has no share; looking begins at a stream that exists. */
    (void)state;
    assert_int_equal(spread_share(4, 0, 0), 0);
    for (int64_t shards = 1; shards <= 40; shards++)
        for (int64_t running = 0; running <= 50; running++)
            for (int64_t older = 0; older <= running; older++)
                assert_in_range(spread_start(shards, running, older), 0, shards - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_are_even_and_add_up),
        cmocka_unit_test(one_that_joins_only_takes),
        cmocka_unit_test(nobody_takes_what_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
