/* What to claim of a total, and in which minute. */
#include "sink/claim/claim_rule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* 2026-11-01T00:00:00Z; all times of the tables are minutes after it. */
#define EPOCH_MS    1793491200000LL
#define AT(minutes) (EPOCH_MS + (minutes)*MINUTE_MS)
#define NONE        -1
#define ONE_DAY     1440
#define NOV         (30 * ONE_DAY)

static int64_t at(int64_t minutes)
{
    return minutes == NONE ? 0 : AT(minutes);
}

static struct dec dec_of(const char *text)
{
    struct dec d;
    assert_int_equal(dec_parse(text, strlen(text), &d), 0);
    return d;
}

static void assert_dec(struct dec d, const char *expected)
{
    char text[DEC_TEXT_SIZE];
    dec_format(d, text);
    assert_string_equal(text, expected);
}

/* A minute and some seconds; the period [start, end) in minutes, the used ones, and what is chosen.
 */
struct minute_case {
    const char *what;
    int64_t now;
    int64_t now_s;
    int64_t start;
    int64_t end;
    int64_t first;
    int64_t last;
    int64_t free;
    int64_t chosen; /* NONE: wait */
};

static void check_minutes(const struct minute_case *cases, size_t n, bool additive)
{
    for (size_t i = 0; i < n; i++) {
        const struct minute_case *c = &cases[i];
        struct claim_total t = {.period_start_ms = AT(c->start),
                                .period_end_ms = AT(c->end),
                                .additive = additive,
                                .takes_negative = true,
                                .first_ms = at(c->first),
                                .last_ms = at(c->last),
                                .free_ms = at(c->free)};
        int64_t minute_ms = 0;
        bool found = claim_rule_minute(&t, AT(c->now) + c->now_s * 1000, &minute_ms);
        int64_t minute = found ? (minute_ms - EPOCH_MS) / MINUTE_MS : NONE;
        if (minute != c->chosen || (found && minute_ms % MINUTE_MS != 0))
            fail_msg("%s: minute %lld instead of %lld", c->what, (long long)minute,
                     (long long)c->chosen);
    }
}

static void a_running_sum_takes_the_current_minute_or_one_beside_the_used(void **state)
{
    /* The current minute, else one before all used, else one after them, at most 4 ahead of now. */
    (void)state;
    static const struct minute_case CASES[] = {
        {"nothing used", 100, 0, 0, NOV, NONE, NONE, NONE, 100},
        {"late in the minute", 100, 59, 0, NOV, NONE, NONE, NONE, 100},
        {"an earlier one used", 100, 0, 0, NOV, 95, 99, NONE, 100},
        {"the current one used", 100, 0, 0, NOV, 100, 100, NONE, 99},
        {"and those before", 100, 0, 0, NOV, 98, 100, NONE, 97},
        {"down to the period's start", 100, 0, 98, NOV, 99, 100, NONE, 98},
        {"then ahead", 100, 0, 98, NOV, 98, 100, NONE, 101},
        {"up to four ahead", 100, 0, 98, NOV, 98, 103, NONE, 104},
        {"then wait", 100, 59, 98, NOV, 98, 104, NONE, NONE},
        {"ahead, but inside the period", 100, 0, 98, 102, 98, 101, NONE, NONE},
        {"last minute of the period", 101, 30, 0, 102, 50, 60, NONE, 101},
        {"period of one minute", 100, 0, 100, 101, NONE, NONE, NONE, 100},
        {"period of one minute, used", 100, 0, 100, 101, 100, 100, NONE, NONE},
        {"before all is older than 34 days", 60 * ONE_DAY, 0, 0, 365 * ONE_DAY, ONE_DAY,
         60 * ONE_DAY, NONE, 60 * ONE_DAY + 1},
        {"period about to begin", 96, 30, 100, NOV, NONE, NONE, NONE, 100},
        {"period too far ahead", 95, 59, 100, NOV, NONE, NONE, NONE, NONE},
    };
    check_minutes(CASES, sizeof CASES / sizeof *CASES, true);
}

static void an_ended_sum_takes_the_last_minute_or_the_nearest_free_one(void **state)
{
    /* Past the period's end: its last minute, else a free one between the used, else before them.
     */
    (void)state;
    static const struct minute_case CASES[] = {
        {"nothing used", 500, 0, 0, 200, NONE, NONE, NONE, 199},
        {"just over", 200, 0, 0, 200, NONE, NONE, NONE, 199},
        {"some used", 500, 0, 0, 200, 10, 150, NONE, 199},
        {"last one used", 500, 0, 0, 200, 10, 199, 198, 198},
        {"last one used by the customer's tenant of before", 500, 0, 0, 200, NONE, NONE, 198, 198},
        {"no gap", 500, 0, 0, 200, 10, 199, NONE, 9},
        {"no gap, all before used", 500, 0, 0, 200, 0, 199, NONE, NONE},
        {"a gap outside the subscription", 500, 0, 150, 200, 150, 199, 149, NONE},
    };
    check_minutes(CASES, sizeof CASES / sizeof *CASES, true);
}

static void a_rising_value_only_takes_later_minutes(void **state)
{
    /* A meter with formula last needs rising minutes; an ended period keeps an hour for
     * corrections. */
    (void)state;
    static const struct minute_case CASES[] = {
        {"nothing used", 100, 0, 0, NOV, NONE, NONE, NONE, 100},
        {"current one used", 100, 0, 0, NOV, 100, 100, NONE, 101},
        {"four ahead", 100, 0, 0, NOV, 50, 103, NONE, 104},
        {"five ahead is too much", 100, 0, 0, NOV, 50, 104, NONE, NONE},
        {"an hour is left", 139, 59, 0, 200, 50, 139, NONE, NONE},
        {"not ahead into the last hour", 138, 0, 0, 200, 50, 138, NONE, 139},
        {"last hour", 140, 0, 0, 200, 5, 139, NONE, 140},
        {"last hour, a minute later", 141, 0, 0, 200, 5, 140, NONE, NONE},
        {"last hour, two minutes later", 142, 0, 0, 200, 5, 140, NONE, 141},
        {"last minute", 199, 59, 0, 200, 5, 168, NONE, 169},
        {"last minute, all that have come used", 199, 59, 0, 200, 5, 169, NONE, NONE},
        {"just over", 200, 0, 0, 200, 5, 169, NONE, 170},
        {"half an hour later", 230, 0, 0, 200, 5, 184, NONE, 185},
        {"short period", 195, 0, 190, 200, 190, 190, NONE, 191},
        {"ended, nothing used", 500, 0, 0, 200, NONE, NONE, NONE, 140},
        {"ended, used long ago", 500, 0, 0, 200, 5, 6, NONE, 140},
        {"ended, used lately", 500, 0, 0, 200, 5, 180, NONE, 181},
        {"ended, last one used", 500, 0, 0, 200, 5, 199, 150, NONE},
        {"ended, short period", 500, 0, 190, 200, NONE, NONE, NONE, 190},
    };
    check_minutes(CASES, sizeof CASES / sizeof *CASES, false);
}

static void usage_lies_inside_the_subscription(void **state)
{
    /* The first minute is the subscription's start rounded up to a whole one. */
    (void)state;
    static const struct {
        int64_t start_ms; /* after minute 600 */
        int64_t now_ms;
        int64_t chosen;
    } CASES[] = {{30000, 50000, 601},
                 {0, 50000, 600},
                 {1, 50000, 601},
                 {59999, 60000, 601},
                 {0, 120000, 602}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct claim_total t = {.period_start_ms = AT(600),
                                .period_end_ms = AT(NOV),
                                .additive = true,
                                .billed_from_ms = AT(600) + CASES[i].start_ms};
        int64_t minute_ms = 0;
        assert_true(claim_rule_minute(&t, AT(600) + CASES[i].now_ms, &minute_ms));
        assert_int_equal((minute_ms - EPOCH_MS) / MINUTE_MS, CASES[i].chosen);
    }
}

static void a_renewed_period_begins_at_the_anchors_second(void **state)
{
    /* Stripe's period begins inside the minute of our edge: that minute would still be of the
     * invoice before. Past the period's end it is not taken either. */
    (void)state;
    static const struct {
        int64_t anchor_s; /* of the minute that holds the edge */
        int64_t now_s;    /* after the edge's minute */
        int64_t first;    /* least minute that may be taken, after the edge's */
    } CASES[] = {{0, 0, 0}, {0, 59, 0}, {1, 30, 1}, {37, 40, 1}, {59, 59, 1}, {37, 60, 1}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct claim_total t = {.period_start_ms = AT(NOV),
                                .period_end_ms = AT(2 * NOV),
                                .additive = true,
                                .takes_negative = true,
                                .billed_from_ms = AT(NOV) + CASES[i].anchor_s * 1000};
        int64_t minute_ms = 0;
        assert_true(claim_rule_minute(&t, AT(NOV) + CASES[i].now_s * 1000, &minute_ms));
        assert_int_equal((minute_ms - AT(NOV)) / MINUTE_MS, CASES[i].first);
        t.first_ms = AT(NOV + 1); /* all but the edge's minute are used */
        t.last_ms = AT(2 * NOV - 1);
        bool found = claim_rule_minute(&t, AT(2 * NOV), &minute_ms);
        assert_int_equal(found, CASES[i].first == 0);
    }
}

static void what_ends_with_its_period_takes_no_minute_to_come(void **state)
{
    (void)state;
    static const struct minute_case CASES[] = {
        {"nothing used", 100, 30, 0, NOV, NONE, NONE, NONE, 100},
        {"the current one used", 100, 0, 0, NOV, 100, 100, NONE, 99},
        {"all up to now used", 100, 59, 98, NOV, 98, 100, NONE, NONE},
        {"period about to begin", 99, 59, 100, NOV, NONE, NONE, NONE, NONE},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct minute_case *c = &CASES[i];
        struct claim_total t = {.period_start_ms = AT(c->start),
                                .period_end_ms = AT(c->end),
                                .additive = true,
                                .ends_with_period = true,
                                .first_ms = at(c->first),
                                .last_ms = at(c->last)};
        int64_t minute_ms = 0;
        bool found = claim_rule_minute(&t, AT(c->now) + c->now_s * 1000, &minute_ms);
        assert_int_equal(found ? (minute_ms - EPOCH_MS) / MINUTE_MS : NONE, c->chosen);
    }
}

static struct claim_total total_of(const char *quantity, const char *claimed, bool additive)
{
    return (struct claim_total){.period_start_ms = AT(0),
                                .period_end_ms = AT(NOV),
                                .quantity = dec_of(quantity),
                                .claimed = dec_of(claimed),
                                .version = 77,
                                .claims = 3,
                                .additive = additive,
                                .takes_negative = true,
                                .place_units = dec_of("99999999999999999999999999999"),
                                .first_ms = AT(10),
                                .last_ms = AT(20)};
}

struct quantity_case {
    const char *total;
    const char *claimed;
    const char *quantity; /* NULL: nothing to claim */
    const char *after;    /* claimed afterwards */
    bool rest;            /* the total stays dirty */
};

static void check_quantities(const struct quantity_case *cases, size_t n, bool additive)
{
    for (size_t i = 0; i < n; i++) {
        const struct quantity_case *c = &cases[i];
        struct claim_total t = total_of(c->total, c->claimed, additive);
        struct claim claim;
        enum claim_decision decision = claim_rule_decide(&t, AT(100), &claim);
        assert_int_equal(decision, c->quantity ? CLAIM_MAKE : CLAIM_MARK);
        assert_int_equal(claim.version, c->rest ? 76 : 77);
        assert_int_equal(claim.claims, c->quantity ? 4 : 3);
        assert_dec(claim.claimed, c->after);
        if (c->quantity)
            assert_dec(claim.quantity, c->quantity);
    }
}

static void sums_claim_the_whole_difference(void **state)
{
    /* floor(total) - claimed, negative too; what is below one waits; what is too long is split. */
    (void)state;
    static const struct quantity_case CASES[] = {
        {"10", "0", "10", "10", false},
        {"10.999999999", "0", "10", "10", false},
        {"10.5", "10", NULL, "10", false},
        {"0.9", "0", NULL, "0", false},
        {"7", "10", "-3", "7", false},
        {"6.5", "10", "-4", "6", false},
        {"-0.5", "0", "-1", "-1", false},
        {"-3", "-3", NULL, "-3", false},
        {"999999999999999", "0", "999999999999999", "999999999999999", false},
        {"1000000000000000", "0", "999999999999999", "999999999999999", true},
        {"-1000000000000000", "0", "-999999999999999", "-999999999999999", true},
        {"1000000000000000", "999999999999999", "1", "1000000000000000", false},
        {"99999999999999999999999999999", "-99999999999999999999999999999", "999999999999999",
         "-99999999999999000000000000000", true},
    };
    check_quantities(CASES, sizeof CASES / sizeof *CASES, true);
}

static void other_aggregations_claim_the_value_itself(void **state)
{
    /* If floor(value) differs from what was claimed last, the value is the quantity. */
    (void)state;
    static const struct quantity_case CASES[] = {
        {"10", "0", "10", "10", false},
        {"10.7", "10", NULL, "10", false},
        {"9.9", "10", "9", "9", false},
        {"0", "10", "0", "0", false},
        {"0", "0", NULL, "0", false},
        {"-2", "3", "-2", "-2", false},
        {"999999999999999.9", "5", "999999999999999", "999999999999999", false},
        {"-999999999999999", "5", "-999999999999999", "-999999999999999", false},
    };
    check_quantities(CASES, sizeof CASES / sizeof *CASES, false);
}

static void a_value_that_is_too_long_is_not_claimed(void **state)
{
    /* Stripe would hold another one. The claim stays as it was, what is held too, and the total is
     * clean until it changes. */
    (void)state;
    static const char *const VALUES[] = {"1000000000000000", "-1000000000000000",
                                         "-999999999999999.5", "99999999999999999999999999999"};
    for (size_t i = 0; i < sizeof VALUES / sizeof *VALUES; i++) {
        struct claim_total t = total_of(VALUES[i], "5", false);
        struct claim claim;
        assert_int_equal(claim_rule_decide(&t, AT(100), &claim), CLAIM_TOO_LARGE);
        assert_dec(claim.claimed, "5");
        assert_int_equal(claim.version, 77);
        assert_int_equal(claim.claims, 3);
        t.has_held = true;
        t.held = dec_of("-2");
        assert_int_equal(claim_rule_decide(&t, AT(100), &claim), CLAIM_TOO_LARGE);
        assert_dec(claim.claimed, "-2");
        assert_false(claim.voids_held);
        t.unmapped = true;
        assert_int_equal(claim_rule_decide(&t, AT(100), &claim), CLAIM_UNMAPPED);
    }
}

static void a_claim_remembers_the_minutes_used(void **state)
{
    /* first and last are the least and the greatest minute of all claims of the period. */
    (void)state;
    struct claim claim;
    struct claim_total t = total_of("10", "0", true);
    assert_int_equal(claim_rule_decide(&t, AT(100), &claim), CLAIM_MAKE);
    assert_int_equal(claim.first_ms, AT(10));
    assert_int_equal(claim.last_ms, AT(100));
    assert_int_equal(claim_rule_decide(&t, AT(20), &claim), CLAIM_MAKE);
    assert_int_equal(claim.first_ms, AT(9));
    assert_int_equal(claim.last_ms, AT(20));
    t.first_ms = t.last_ms = 0;
    assert_int_equal(claim_rule_decide(&t, AT(100), &claim), CLAIM_MAKE);
    assert_int_equal(claim.first_ms, AT(100));
}

static void what_stripe_would_not_bill_is_late(void **state)
{
    /* Usage older than 34 days, or of a period whose invoice is final. */
    (void)state;
    struct claim claim;
    struct claim_total t = total_of("10", "0", true);
    int64_t last_minute_ms = AT(NOV) - MINUTE_MS;
    assert_int_equal(claim_rule_decide(&t, last_minute_ms + CLAIM_OLDEST_MS, &claim), CLAIM_MAKE);
    assert_int_equal(claim.state, CLAIM_PENDING);
    assert_int_equal(claim.usage_at_ms, last_minute_ms);
    claim_rule_decide(&t, last_minute_ms + CLAIM_OLDEST_MS + 1, &claim);
    assert_int_equal(claim.state, CLAIM_LATE);
    t.invoice_final = true;
    claim_rule_decide(&t, AT(NOV) + HOUR_MS, &claim);
    assert_int_equal(claim.state, CLAIM_LATE);
}

static void what_ends_with_its_period_is_late_as_soon_as_that_is_over(void **state)
{
    /* Usage records take nothing of a closed period, even before its invoice is final. */
    (void)state;
    struct claim claim;
    struct claim_total t = total_of("10", "0", true);
    t.ends_with_period = true;
    assert_int_equal(claim_rule_decide(&t, AT(NOV) - 1, &claim), CLAIM_MAKE);
    assert_int_equal(claim.state, CLAIM_PENDING);
    assert_int_equal(claim_rule_decide(&t, AT(NOV), &claim), CLAIM_MAKE);
    assert_int_equal(claim.state, CLAIM_LATE);
    t.place_units = dec_of("0");
    t.quantity = dec_of("-3");
    assert_int_equal(claim_rule_decide(&t, AT(NOV), &claim), CLAIM_MAKE);
    assert_int_equal(claim.state, CLAIM_LATE);
    t.ends_with_period = false;
    assert_int_equal(claim_rule_decide(&t, AT(NOV), &claim), CLAIM_MAKE);
    assert_int_equal(claim.state, CLAIM_HELD);
}

/* No place to subtract from. claimed is without what is held. */
struct held_case {
    bool additive;
    const char *total;
    const char *claimed;
    const char *held;     /* NULL: nothing is */
    const char *quantity; /* NULL: nothing to claim */
    enum claim_state state;
    bool voids;
    const char *after;
};

static void a_negative_difference_is_held_and_judged_anew(void **state)
{
    /* What is held becomes void and is judged with the rest: never sent as negative, never lost. */
    (void)state;
    static const struct held_case CASES[] = {
        {true, "12", "10", NULL, "2", CLAIM_PENDING, false, "12"},
        {true, "7", "10", NULL, "-3", CLAIM_HELD, false, "7"},
        {true, "7.5", "10", "-3", NULL, CLAIM_PENDING, false, "7"}, /* stays as it is */
        {true, "5", "10", "-3", "-5", CLAIM_HELD, true, "5"},
        {true, "8", "10", "-3", "-2", CLAIM_HELD, true, "8"},
        {true, "10.9", "10", "-3", NULL, CLAIM_PENDING, true, "10"}, /* made up for */
        {true, "15", "10", "-3", "5", CLAIM_PENDING, true, "15"},
        {true, "-1", "0", NULL, "-1", CLAIM_HELD, false, "-1"},
        {false, "4", "10", NULL, "4", CLAIM_PENDING, false, "4"}, /* a value may fall */
        {false, "-2", "10", NULL, "-2", CLAIM_HELD, false, "-2"},
        {false, "-2", "10", "-2", NULL, CLAIM_PENDING, false, "-2"},
        {false, "10", "10", "-2", NULL, CLAIM_PENDING, true, "10"},
        {false, "11", "10", "-2", "11", CLAIM_PENDING, true, "11"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct held_case *c = &CASES[i];
        struct claim_total t = total_of(c->total, c->claimed, c->additive);
        struct claim claim;
        t.takes_negative = false;
        t.place_units = dec_of("0");
        t.has_held = c->held != NULL;
        t.held = dec_of(c->held ? c->held : "0");
        enum claim_decision decision = claim_rule_decide(&t, AT(100), &claim);
        assert_int_equal(decision, c->quantity ? CLAIM_MAKE : CLAIM_MARK);
        assert_int_equal(claim.voids_held, c->voids);
        assert_int_equal(claim.version, 77);
        assert_dec(claim.claimed, c->after);
        if (c->quantity) {
            assert_dec(claim.quantity, c->quantity);
            assert_int_equal(claim.state, c->state);
        }
    }
}

static void what_is_negative_is_subtracted_as_far_as_its_place_holds_it(void **state)
{
    /* The rest keeps the total dirty, for another place; without one, all of it is held. What is
     * held goes out as soon as there is a place. A closed period is for a person, in one piece. */
    (void)state;
    static const struct {
        const char *total;
        const char *place;
        const char *held; /* NULL: nothing is */
        bool final;
        const char *quantity;
        enum claim_state state;
        bool elsewhere;
        const char *after;
    } CASES[] = {
        {"70", "100", NULL, false, "-30", CLAIM_PENDING, false, "70"},
        {"70", "30", NULL, false, "-30", CLAIM_PENDING, false, "70"},
        {"70", "20", NULL, false, "-20", CLAIM_PENDING, true, "80"},
        {"70.5", "20", NULL, false, "-20", CLAIM_PENDING, true, "80"},
        {"70", "0", NULL, false, "-30", CLAIM_HELD, false, "70"},
        {"70", "-5", NULL, false, "-30", CLAIM_HELD, false, "70"},
        {"70", "100", "-30", false, "-30", CLAIM_PENDING, false, "70"},
        {"70", "20", "-30", false, "-20", CLAIM_PENDING, true, "80"},
        {"60", "0", "-30", false, "-40", CLAIM_HELD, false, "60"},
        {"70", "20", NULL, true, "-30", CLAIM_LATE, false, "70"},
        {"110", "0", NULL, false, "10", CLAIM_PENDING, false, "110"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct claim_total t = total_of(CASES[i].total, "100", true);
        struct claim claim;
        t.place_units = dec_of(CASES[i].place);
        t.has_held = CASES[i].held != NULL;
        t.held = dec_of(CASES[i].held ? CASES[i].held : "0");
        t.invoice_final = CASES[i].final;
        assert_int_equal(claim_rule_decide(&t, AT(100), &claim), CLAIM_MAKE);
        assert_dec(claim.quantity, CASES[i].quantity);
        assert_int_equal(claim.state, CASES[i].state);
        assert_int_equal(claim.elsewhere, CASES[i].elsewhere);
        assert_int_equal(claim.version, CASES[i].elsewhere ? 76 : 77);
        assert_int_equal(claim.voids_held, t.has_held);
        assert_dec(claim.claimed, CASES[i].after);
        claim_rule_apply(&t, &claim);
        if (CASES[i].elsewhere)
            assert_dec(t.place_units, "0");
    }
}

static void what_is_held_stays_claimed_while_nothing_can_be_claimed(void **state)
{
    (void)state;
    struct claim claim;
    struct claim_total t = total_of("15", "10", true);
    t.takes_negative = false;
    t.has_held = true;
    t.held = dec_of("-3");
    t.first_ms = AT(0);
    t.last_ms = AT(104); /* no minute is free */
    assert_int_equal(claim_rule_decide(&t, AT(100), &claim), CLAIM_WAIT);
    assert_dec(claim.claimed, "7");
    assert_false(claim.voids_held);
    t.unmapped = true;
    assert_int_equal(claim_rule_decide(&t, AT(100), &claim), CLAIM_UNMAPPED);
    assert_dec(claim.claimed, "7");
    assert_int_equal(claim.version, 76);
}

static void a_long_difference_is_claimed_part_by_part(void **state)
{
    /* Each part in a minute of its own; the last one leaves the total clean. */
    (void)state;
    static const char *const PARTS[] = {"999999999999999", "999999999999999", "9"};
    struct claim_total t = total_of("2000000000000007", "0", true);
    t.period_end_ms = AT(90);
    t.last_ms = AT(89);
    t.free_ms = AT(50);
    static const int64_t MINUTES[] = {50, 9, 8};
    for (int i = 0; i < 3; i++) {
        struct claim claim;
        assert_int_equal(claim_rule_decide(&t, AT(100), &claim), CLAIM_MAKE);
        assert_dec(claim.quantity, PARTS[i]);
        assert_int_equal(claim.usage_at_ms, AT(MINUTES[i]));
        assert_int_equal(claim.claims, 4 + i);
        assert_int_equal(claim.split, i < 2);
        assert_int_equal(claim.version, i < 2 ? 76 : 77);
        claim_rule_apply(&t, &claim);
    }
    assert_dec(t.claimed, "2000000000000007");
}

static void nothing_is_claimed_before_a_subscription_or_without_a_minute(void **state)
{
    /* What is left is the claim as it was, older than the total, so that it is looked at again. */
    (void)state;
    struct claim claim;
    struct claim_total t = total_of("10", "4", true);
    t.outside = true;
    assert_int_equal(claim_rule_decide(&t, AT(100), &claim), CLAIM_OUTSIDE);
    assert_int_equal(claim.version, 76);
    assert_dec(claim.claimed, "4");
    t.outside = false;
    t.first_ms = AT(0);
    t.last_ms = AT(104);
    assert_int_equal(claim_rule_decide(&t, AT(100), &claim), CLAIM_WAIT);
    assert_int_equal(claim.version, 76);
    assert_int_equal(claim.claims, 3);
    assert_dec(claim.claimed, "4");
    t.claimed = dec_of("10");
    assert_int_equal(claim_rule_decide(&t, AT(100), &claim), CLAIM_MARK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_running_sum_takes_the_current_minute_or_one_beside_the_used),
        cmocka_unit_test(an_ended_sum_takes_the_last_minute_or_the_nearest_free_one),
        cmocka_unit_test(a_rising_value_only_takes_later_minutes),
        cmocka_unit_test(usage_lies_inside_the_subscription),
        cmocka_unit_test(sums_claim_the_whole_difference),
        cmocka_unit_test(other_aggregations_claim_the_value_itself),
        cmocka_unit_test(a_value_that_is_too_long_is_not_claimed),
        cmocka_unit_test(a_claim_remembers_the_minutes_used),
        cmocka_unit_test(what_stripe_would_not_bill_is_late),
        cmocka_unit_test(a_renewed_period_begins_at_the_anchors_second),
        cmocka_unit_test(what_ends_with_its_period_takes_no_minute_to_come),
        cmocka_unit_test(what_ends_with_its_period_is_late_as_soon_as_that_is_over),
        cmocka_unit_test(a_negative_difference_is_held_and_judged_anew),
        cmocka_unit_test(what_is_negative_is_subtracted_as_far_as_its_place_holds_it),
        cmocka_unit_test(what_is_held_stays_claimed_while_nothing_can_be_claimed),
        cmocka_unit_test(a_long_difference_is_claimed_part_by_part),
        cmocka_unit_test(nothing_is_claimed_before_a_subscription_or_without_a_minute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
