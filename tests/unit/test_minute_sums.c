/* Minute rows of a batch. */
#include "aggregator/batch/minute_sums.h"
#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const unsigned char KEY[16] = "a fixed test key";
static struct minute_sums sums;
static struct tenants tenants;

static int setup(void **state)
{
    (void)state;
    minute_sums_init(&sums, KEY);
    tenants_init(&tenants, KEY);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    minute_sums_done(&sums);
    tenants_done(&tenants);
    return 0;
}

static struct dec dec(const char *text)
{
    struct dec value = DEC_ZERO;

    assert_int_equal(dec_parse(text, strlen(text), &value), 0);
    return value;
}

static void assert_dec(struct dec actual, const char *expected)
{
    char text[DEC_TEXT_SIZE];

    dec_format(actual, text);
    assert_string_equal(text, expected);
}

/* An event of acme's metric 1 in its minute 0. */
static struct event event_of(const char *quantity)
{
    return (struct event){
        .tenant = tenants_intern(&tenants, TEXT("acme")),
        .metric = 1,
        .quantity = dec(quantity),
        .dims_json = TEXT("{}"),
    };
}

static void add(struct event event)
{
    assert_int_equal(minute_sums_add(&sums, &event), 0);
}

static void a_row_sums_up_its_events(void **state)
{
    /* Events, sum, least and greatest of one key, exactly. */
    (void)state;
    add(event_of("0.1"));
    add(event_of("-3"));
    add(event_of("0.2"));
    assert_int_equal(sums.count, 1);
    assert_int_equal(sums.rows[0].events, 3);
    assert_dec(sums.rows[0].sum, "-2.7");
    assert_dec(sums.rows[0].min, "-3");
    assert_dec(sums.rows[0].max, "0.2");
}

static void each_part_of_the_key_makes_a_row(void **state)
{
    /* Tenant, metric, minute and dimensions: a difference in one of them is another row. */
    (void)state;
    struct event event = event_of("1");

    add(event);
    event.tenant = tenants_intern(&tenants, TEXT("acm"));
    add(event);
    event = event_of("1");
    event.metric = 2;
    add(event);
    event = event_of("1");
    event.occurred_ms = MINUTE_MS;
    add(event);
    event.occurred_ms = -1;
    add(event);
    event = event_of("1");
    event.dims_json = TEXT("{\"a\":\"1\"}");
    add(event);
    assert_int_equal(sums.count, 6);
    event = event_of("1");
    event.occurred_ms = MINUTE_MS - 1;
    add(event);
    event.occurred_ms = -MINUTE_MS;
    add(event);
    assert_int_equal(sums.count, 6);
    assert_int_equal(sums.rows[4].minute_ms, -MINUTE_MS);
}

static void the_last_is_by_time_then_by_entry(void **state)
{
    /* The later occurred_ms wins, then the later entry, in whichever order they come. */
    (void)state;
    static const struct {
        int64_t occurred_ms;
        uint64_t ms;
        uint64_t seq;
        const char *quantity;
        const char *last;
    } steps[] = {
        {10, 5, 5, "1", "1"}, {9, 6, 6, "2", "1"},  {10, 5, 4, "3", "1"}, {10, 4, 9, "4", "1"},
        {10, 5, 6, "5", "5"}, {10, 6, 0, "6", "6"}, {11, 0, 0, "7", "7"}, {10, 9, 9, "8", "7"},
    };

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct event event = event_of(steps[i].quantity);
        event.occurred_ms = steps[i].occurred_ms;
        event.ms = steps[i].ms;
        event.seq = steps[i].seq;
        add(event);
        assert_dec(sums.rows[0].last, steps[i].last);
    }
    assert_int_equal(sums.rows[0].last_occurred_ms, 11);
    assert_int_equal(sums.rows[0].last_ms, 0);
}

static void an_overflow_counts_nothing(void **state)
{
    /* A sum beyond 38 digits is refused, and the row is as it was before. */
    (void)state;
    struct event event = event_of("99999999999999999999999999999.999999999");

    add(event);
    event.quantity = dec("0.000000001");
    assert_int_equal(minute_sums_add(&sums, &event), -1);
    assert_int_equal(sums.rows[0].events, 1);
    assert_dec(sums.rows[0].sum, "99999999999999999999999999999.999999999");
    assert_dec(sums.rows[0].min, "99999999999999999999999999999.999999999");
    event.quantity = dec("-1");
    add(event);
}

static void rows_are_sorted_by_key(void **state)
{
    /* Tenant by bytes, then metric, minute and dimensions, whatever the order of arrival. */
    (void)state;
    static const struct text names[] = {{"a", 1}, {"aa", 2}, {"b", 1}, {"\xc3\xa9", 2}};
    static const struct text dims[] = {{"{\"a\":\"1\"}", 9}, {"{\"a\":\"2\"}", 9}, {"{}", 2}};

    for (int i = 0; i < 4 * 3 * 3 * 3; i++) {
        int n = i * 67 % 108; /* every number below 108, mixed up */
        struct event event = event_of("1");
        event.tenant = tenants_intern(&tenants, names[n / 27]);
        event.metric = n / 9 % 3;
        event.occurred_ms = n / 3 % 3 * MINUTE_MS;
        event.dims_json = dims[n % 3];
        event.seq = (uint64_t)n;
        add(event);
    }
    minute_sums_sort(&sums);
    assert_int_equal(sums.count, 108);
    for (uint32_t i = 0; i < sums.count; i++)
        assert_int_equal(sums.rows[i].last_seq, i);
}

static void many_rows_are_told_apart(void **state)
{
    /* Growth loses nothing, and a cleared sums starts anew. */
    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 60000; i++) {
            char name[16];
            struct event event = event_of("1");
            int length = snprintf(name, sizeof(name), "t%u", (unsigned)i % 300);
            event.tenant = tenants_intern(&tenants, (struct text){name, (uint32_t)length});
            event.occurred_ms = i % 2000 * MINUTE_MS;
            add(event);
        }
        assert_int_equal(sums.count, 6000); /* the least common multiple of both */
        minute_sums_sort(&sums);
        assert_int_equal(sums.rows[5999].events, 10);
        minute_sums_clear(&sums);
        assert_int_equal(sums.count, 0);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_row_sums_up_its_events),
        TEST(each_part_of_the_key_makes_a_row),
        TEST(the_last_is_by_time_then_by_entry),
        TEST(an_overflow_counts_nothing),
        TEST(rows_are_sorted_by_key),
        TEST(many_rows_are_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
