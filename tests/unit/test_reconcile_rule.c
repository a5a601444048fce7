/* Comparing with Stripe, and what becomes of a submission in doubt. */
#include "common/stripe/reconcile_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct reading NOTHING = {.any = false};

static struct reading holds(int64_t value)
{
    return (struct reading){.any = true, .value = dec_from_i64(value)};
}

static void drift_is_what_lies_outside_the_bounds(void **state)
{
    (void)state;
    static const struct {
        int64_t reading;
        int64_t low;
        int64_t high;
        int64_t drift;
    } CASES[] = {{5, 5, 5, 0},   {8, 5, 5, 3}, {2, 5, 5, -3}, {5, 2, 8, 0},
                 {2, 2, 8, 0},   {8, 2, 8, 0}, {9, 2, 8, 1},  {-4, -3, 0, -1},
                 {-2, -3, 0, 0}, {0, 0, 0, 0}, {0, -3, -1, 1}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct dec drift;
        assert_int_equal(reconcile_rule_drift(dec_from_i64(CASES[i].reading),
                                              dec_from_i64(CASES[i].low),
                                              dec_from_i64(CASES[i].high), &drift),
                         0);
        assert_int_equal(dec_cmp(drift, dec_from_i64(CASES[i].drift)), 0);
    }
}

static void a_drift_of_too_many_digits_is_an_error(void **state)
{
    (void)state;
    struct dec drift;
    const struct dec most = {DEC_BOUND - 1};
    const struct dec least = {-(DEC_BOUND - 1)};
    assert_int_equal(reconcile_rule_drift(most, least, least, &drift), -1);
    assert_int_equal(reconcile_rule_drift(least, most, most, &drift), -1);
}

static void ours_is_the_sum_or_the_newest_of_a_time(void **state)
{
    (void)state;
    const struct sent_minute minutes[] = {
        {60, dec_from_i64(5)}, {120, dec_from_i64(-2)}, {300, dec_from_i64(7)}};
    struct reading sum = reconcile_rule_sent(minutes, 3, 60, 300, false);
    assert_true(sum.any && dec_cmp(sum.value, dec_from_i64(3)) == 0);
    struct reading newest = reconcile_rule_sent(minutes, 3, 60, 300, true);
    assert_true(newest.any && dec_cmp(newest.value, dec_from_i64(-2)) == 0);
    assert_true(dec_cmp(reconcile_rule_sent(minutes, 3, 0, 360, false).value, dec_from_i64(10)) ==
                0);
    assert_false(reconcile_rule_sent(minutes, 3, 180, 300, true).any);
    assert_false(reconcile_rule_sent(NULL, 0, 0, 300, false).any);
}

static void of_sums_nothing_is_nought_of_newest_values_it_is_not(void **state)
{
    (void)state;
    assert_true(reconcile_rule_agree(NOTHING, holds(0), false));
    assert_false(reconcile_rule_agree(NOTHING, holds(0), true));
    assert_true(reconcile_rule_agree(NOTHING, NOTHING, true));
    assert_true(reconcile_rule_agree(holds(4), holds(4), true));
    assert_false(reconcile_rule_agree(holds(4), holds(5), false));
}

static void a_range_is_cut_at_a_whole_minute_within(void **state)
{
    (void)state;
    for (int64_t minutes = 2; minutes < 130; minutes++) {
        int64_t middle_s = reconcile_rule_middle(600, 600 + minutes * 60);
        assert_true(middle_s % 60 == 0 && middle_s > 600 && middle_s < 600 + minutes * 60);
    }
}

/* -99 stands for nothing. */
static struct reading reading(int64_t value)
{
    if (value == -99)
        return NOTHING;
    return holds(value);
}

static void two_readings_decide(void **state)
{
    (void)state;
    static const struct {
        int64_t quantity;
        bool newest;
        int64_t first; /* -99: nothing */
        int64_t now;
        enum doubt_verdict verdict;
    } CASES[] = {
        {5, false, 5, 5, DOUBT_SENT},    {5, false, -99, -99, DOUBT_VOID},
        {5, false, 0, -99, DOUBT_VOID},  {5, false, 8, 8, DOUBT_FAIL},
        {5, false, 5, -99, DOUBT_FAIL},  {5, false, -99, 5, DOUBT_FAIL},
        {5, false, 8, 5, DOUBT_FAIL},    {-5, false, -5, -5, DOUBT_SENT},
        {-5, false, 5, 5, DOUBT_FAIL},   {0, false, -99, -99, DOUBT_SENT},
        {0, false, 0, 0, DOUBT_SENT},    {0, false, 3, 3, DOUBT_FAIL},
        {0, true, 0, 0, DOUBT_SENT},     {0, true, -99, -99, DOUBT_VOID},
        {5, true, 5, 5, DOUBT_SENT},     {5, true, 0, 0, DOUBT_FAIL},
        {5, true, -99, -99, DOUBT_VOID},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct doubt d = {.quantity = dec_from_i64(CASES[i].quantity),
                          .newest = CASES[i].newest,
                          .read_before = true,
                          .first = reading(CASES[i].first),
                          .now = reading(CASES[i].now)};
        assert_int_equal(reconcile_rule_doubt(&d), CASES[i].verdict);
        d.first = d.now;
        enum doubt_verdict settled = reconcile_rule_doubt(&d);
        assert_int_equal(reconcile_rule_found(&d), settled);
        d.read_before = false;
        assert_int_equal(reconcile_rule_doubt(&d), DOUBT_NOTE);
        /* What Stripe knew before is never claimed anew. */
        d.read_before = d.known = true;
        assert_int_equal(reconcile_rule_doubt(&d), settled == DOUBT_VOID ? DOUBT_FAIL : settled);
    }
}

static void one_that_fails_tells_what_stripe_may_hold(void **state)
{
    /* The newer reading, unless that is nothing; where it is unclear, all of it. */
    (void)state;
    static const struct {
        bool unclear;
        bool known;
        int64_t first; /* -99: nothing */
        int64_t now;
        int64_t may_hold;
    } CASES[] = {{false, false, 8, 8, 8},   {false, false, 5, -99, 5}, {false, false, -99, 5, 5},
                 {false, false, 8, 3, 3},   {false, false, 4, 0, 4},   {true, false, -99, -99, 5},
                 {false, true, -99, -99, 5}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct doubt d = {.quantity = dec_from_i64(5),
                          .unclear = CASES[i].unclear,
                          .known = CASES[i].known,
                          .first = CASES[i].first == -99 ? NOTHING : holds(CASES[i].first),
                          .now = CASES[i].now == -99 ? NOTHING : holds(CASES[i].now)};
        assert_int_equal(dec_cmp(reconcile_rule_may_hold(&d), dec_from_i64(CASES[i].may_hold)), 0);
    }
}

static void usage_records_are_told_by_the_total_alone(void **state)
{
    /* With all in doubt, or with none; what lies between tells of nobody. */
    (void)state;
    static const struct {
        int64_t total;
        enum doubt_verdict found;
    } CASES[] = {{10, DOUBT_VOID}, {18, DOUBT_SENT}, {15, DOUBT_FAIL},
                 {13, DOUBT_FAIL}, {9, DOUBT_FAIL},  {19, DOUBT_FAIL}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct doubt d = {.quantity = dec_from_i64(5)};
        reconcile_rule_records(dec_from_i64(CASES[i].total), dec_from_i64(10), dec_from_i64(8), &d);
        assert_int_equal(reconcile_rule_found(&d), CASES[i].found);
        /* What is unclear once cannot be confirmed by a second reading. */
        assert_int_equal(reconcile_rule_doubt(&d),
                         CASES[i].found == DOUBT_FAIL ? DOUBT_FAIL : DOUBT_NOTE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drift_is_what_lies_outside_the_bounds),
        cmocka_unit_test(a_drift_of_too_many_digits_is_an_error),
        cmocka_unit_test(ours_is_the_sum_or_the_newest_of_a_time),
        cmocka_unit_test(of_sums_nothing_is_nought_of_newest_values_it_is_not),
        cmocka_unit_test(a_range_is_cut_at_a_whole_minute_within),
        cmocka_unit_test(two_readings_decide),
        cmocka_unit_test(one_that_fails_tells_what_stripe_may_hold),
        cmocka_unit_test(usage_records_are_told_by_the_total_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
