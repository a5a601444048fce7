/* Whether a ledger may be older than what was sent from it. */
#include "sink/ledger_check/ledger_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LEDGER "11111111-1111-4111-8111-111111111111"
#define OTHER  "22222222-2222-4222-8222-222222222222"
#define TOKEN  "33333333-3333-4333-8333-333333333333"

static struct ledger_stream stream(const char *last_id, char *group_id, int32_t epoch)
{
    struct ledger_stream s = {
        .epoch = 2, .token = TOKEN, .reset_token = "", .last_id = last_id, .group_id = group_id};

    s.marked = epoch > 0;
    s.mark.epoch = epoch;
    snprintf(s.mark.token, sizeof s.mark.token, "%s", epoch == 2 ? TOKEN : OTHER);
    snprintf(s.mark.ledger, sizeof s.mark.ledger, "%s", LEDGER);
    return s;
}

static enum ledger_verdict judge(int64_t picks, int64_t sent, struct ledger_stream s)
{
    const struct ledger_facts f = {.ledger = LEDGER,
                                   .picks = picks,
                                   .has_past = true,
                                   .sent_known = sent >= 0,
                                   .sent = sent,
                                   .saw_redis = "a1",
                                   .redis = "a1",
                                   .streams = &s,
                                   .count = 1};

    return ledger_judge(&f);
}

static void one_that_has_all_that_redis_knows_goes_on(void **state)
{
    (void)state;
    assert_int_equal(judge(7, 7, stream("5-1", "5-1", 2)), LEDGER_INTACT);
    /* A sink or an aggregator was killed between COMMIT and telling Redis. */
    assert_int_equal(judge(8, 7, stream("5-10", "5-9", 2)), LEDGER_INTACT);
    /* Redis is the one that went back: the aggregator opens a new epoch. */
    assert_int_equal(judge(7, 7, stream("5-1", "9-1", 1)), LEDGER_INTACT);
    /* A stream that was deleted after a reshard, or lost; the number is there. */
    assert_int_equal(judge(7, 7, stream("5-1", NULL, 0)), LEDGER_INTACT);
}

static void one_that_lacks_what_redis_knows_is_behind(void **state)
{
    (void)state;
    assert_int_equal(judge(7, 8, stream("5-1", "5-1", 2)), LEDGER_BEHIND);
    assert_int_equal(judge(7, 7, stream("5-9", "5-10", 2)), LEDGER_BEHIND);
    assert_int_equal(judge(7, 7, stream("9-9", "10-0", 2)), LEDGER_BEHIND);
    assert_int_equal(judge(7, -1, stream("5-1", "6-0", 2)), LEDGER_BEHIND);
    assert_int_equal(judge(7, 7, stream("5-1", "5-1", 3)), LEDGER_BEHIND);
    /* An epoch of that number that this ledger never opened. */
    struct ledger_stream s = stream("5-1", "5-1", 2);
    snprintf(s.mark.token, sizeof s.mark.token, "%s", OTHER);
    assert_int_equal(judge(7, 7, s), LEDGER_BEHIND);
    /* Unless a command of ours is about to open it. */
    s.reset_token = OTHER;
    assert_int_equal(judge(7, 7, s), LEDGER_INTACT);
}

static void where_redis_knows_nothing_only_a_new_one_goes_on(void **state)
{
    struct ledger_facts f = {.ledger = LEDGER, .saw_redis = "", .redis = ""};

    (void)state;
    assert_int_equal(ledger_judge(&f), LEDGER_INTACT);
    f.has_past = true;
    assert_int_equal(ledger_judge(&f), LEDGER_UNKNOWN);
    assert_int_equal(judge(7, -1, stream("5-1", "5-1", 2)), LEDGER_UNKNOWN);
    assert_int_equal(judge(0, -1, stream("5-1", "5-1", 2)), LEDGER_UNKNOWN);
}

static void the_first_sink_of_a_ledger_that_counts_already_goes_on(void **state)
{
    struct ledger_stream s = stream("5-1", "5-1", 2);
    struct ledger_facts f = {.ledger = LEDGER,
                             .is_first = true,
                             .has_past = true,
                             .saw_redis = "",
                             .redis = "a1",
                             .streams = &s,
                             .count = 1};

    (void)state;
    assert_int_equal(ledger_judge(&f), LEDGER_INTACT);
    /* Another ledger's stream tells nothing of ours. */
    snprintf(s.mark.ledger, sizeof s.mark.ledger, "%s", OTHER);
    assert_int_equal(ledger_judge(&f), LEDGER_UNKNOWN);
    s = stream("5-1", "5-1", 2);
    f.picks = 1;
    assert_int_equal(ledger_judge(&f), LEDGER_UNKNOWN);
}

static void where_redis_was_started_anew_as_well_nobody_can_tell(void **state)
{
    struct ledger_facts f = {.ledger = LEDGER,
                             .picks = 7,
                             .has_past = true,
                             .sent_known = true,
                             .sent = 7,
                             .saw_redis = "a1",
                             .redis = "b2"};

    (void)state;
    assert_int_equal(ledger_judge(&f), LEDGER_UNSURE);
    f.redis = ""; /* it does not tell */
    assert_int_equal(ledger_judge(&f), LEDGER_UNSURE);
    f.saw_redis = "";
    assert_int_equal(ledger_judge(&f), LEDGER_UNSURE);
    f.saw_redis = f.redis = "a1";
    assert_int_equal(ledger_judge(&f), LEDGER_INTACT);
    /* What Redis knows of more is worse. */
    f.redis = "b2";
    f.sent = 8;
    assert_int_equal(ledger_judge(&f), LEDGER_BEHIND);
    /* A backup from before the first pick: what was sent since is in no ledger. */
    f.picks = f.sent = 0;
    assert_int_equal(ledger_judge(&f), LEDGER_UNSURE);
    f.has_past = false;
    assert_int_equal(ledger_judge(&f), LEDGER_UNSURE);
}

static void verdicts_have_names(void **state)
{
    (void)state;
    assert_null(ledger_verdict_name(LEDGER_INTACT));
    assert_string_equal(ledger_verdict_name(LEDGER_BEHIND), "behind");
    assert_string_equal(ledger_verdict_name(LEDGER_UNKNOWN), "unknown");
    assert_string_equal(ledger_verdict_name(LEDGER_UNSURE), "unsure");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_has_all_that_redis_knows_goes_on),
        cmocka_unit_test(one_that_lacks_what_redis_knows_is_behind),
        cmocka_unit_test(where_redis_knows_nothing_only_a_new_one_goes_on),
        cmocka_unit_test(where_redis_was_started_anew_as_well_nobody_can_tell),
        cmocka_unit_test(the_first_sink_of_a_ledger_that_counts_already_goes_on),
        cmocka_unit_test(verdicts_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
