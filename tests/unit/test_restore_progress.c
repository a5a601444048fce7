/* How far a check of many is, as a person reads it. */
#include "ctl/restore/restore_progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void time_left_is_measured_by_this_run_alone(void **state)
{
    /* What an earlier run had done took none of our time. */
    (void)state;
    static const struct {
        struct restore_progress p;
        int64_t left_ms;
    } CASES[] = {
        {{.total = 100, .done = 50, .done_first = 0, .elapsed_ms = 10000}, 10000},
        {{.total = 100, .done = 50, .done_first = 40, .elapsed_ms = 10000}, 50000},
        {{.total = 100, .done = 40, .done_first = 40, .elapsed_ms = 10000}, -1},
        {{.total = 100, .done = 100, .done_first = 40, .elapsed_ms = 10000}, 0},
        {{.total = 0, .elapsed_ms = 1}, 0},
        {{.total = 1000000, .done = 1, .elapsed_ms = 86400000}, 86400000 * INT64_C(999999)},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_int_equal(restore_progress_left_ms(&CASES[i].p), CASES[i].left_ms);
}

static void it_reads_well(void **state)
{
    (void)state;
    static const struct {
        struct restore_progress p;
        bool bar;
        const char *text;
    } CASES[] = {
        {{.total = 300, .done = 100, .elapsed_ms = 20000},
         false,
         "100 of 300 tenants compared with Stripe, about 40 s left"},
        {{.total = 300, .done = 100, .elapsed_ms = 20000},
         true,
         "[##########--------------------] 100 of 300 tenants compared with Stripe, about 40 s "
         "left"},
        {{.total = 300, .done = 1, .elapsed_ms = 1001},
         false,
         "1 of 300 tenants compared with Stripe, about 5 min left"},
        {{.total = 300, .elapsed_ms = 20000}, false, "0 of 300 tenants compared with Stripe"},
        {{.total = 300, .done = 300, .elapsed_ms = 20000},
         true,
         "[##############################] 300 of 300 tenants compared with Stripe"},
        {{.total = 0},
         true,
         "[##############################] 0 of 0 tenants compared with Stripe"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct buf out = {0};
        restore_progress_add(&out, &CASES[i].p, CASES[i].bar);
        assert_string_equal(out.data, CASES[i].text);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_left_is_measured_by_this_run_alone),
        cmocka_unit_test(it_reads_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
