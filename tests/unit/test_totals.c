/* Minute rows into what they add to period totals, by aggregation and period. */
#include "aggregator/totals.h"
#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define MONTH (30 * 86400000LL)

enum { CALLS, LOGINS, PEAK, SEATS };

static const unsigned char KEY[16] = "a fixed test key";
static struct catalog *catalog;
static struct tenants tenants;
static struct tally tally;
static struct periods *periods;
static struct totals totals;

static void add_metric(const char *name, enum aggregation aggregation, int expected)
{
    struct metric_def def = {.aggregation = aggregation};
    struct err e;

    snprintf(def.name, sizeof def.name, "%s", name);
    assert_int_equal(catalog_add(catalog, &def, &e), expected);
}

static int setup(void **state)
{
    struct err e;

    (void)state;
    catalog = catalog_new();
    add_metric("calls", AGG_SUM, CALLS);
    add_metric("logins", AGG_COUNT, LOGINS);
    add_metric("peak", AGG_MAX, PEAK);
    add_metric("seats", AGG_LAST, SEATS);
    assert_int_equal(catalog_link(catalog, &e), 0);
    tenants_init(&tenants, KEY);
    tally_init(&tally, KEY);
    totals_init(&totals);
    periods = periods_new(KEY);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    periods_free(periods);
    totals_done(&totals);
    tally_done(&tally);
    tenants_done(&tenants);
    catalog_free(catalog);
    return 0;
}

static struct dec dec(const char *text)
{
    struct dec value = DEC_ZERO;

    assert_int_equal(dec_parse(text, strlen(text), &value), 0);
    return value;
}

static struct text text_of(const char *t)
{
    return (struct text){.data = t, .length = (uint32_t)strlen(t)};
}

static void count(const char *tenant, int metric, int64_t at_ms, const char *quantity)
{
    static uint64_t entry;
    struct event event = {.tenant = tenants_intern(&tenants, text_of(tenant)),
                          .metric = metric,
                          .occurred_ms = at_ms,
                          .ms = ++entry,
                          .quantity = dec(quantity),
                          .dims_json = TEXT("{}")};

    assert_int_equal(tally_add(&tally, &event), 0);
}

static void know(const char *tenant, int64_t start_ms, int64_t end_ms)
{
    periods_add(periods, text_of(tenant), (struct period){start_ms, end_ms});
}

static void fill(void)
{
    struct err e;

    tally_sort(&tally);
    assert_int_equal(totals_fill(&totals, catalog, &tally, periods, &e), 0);
}

static int64_t next_i64(struct pg_array_reader *r)
{
    const unsigned char *data;
    size_t length;
    uint64_t v = 0;

    assert_true(pg_array_next(r, &data, &length) && length == 8);
    for (int i = 0; i < 8; i++)
        v = v << 8 | data[i];
    return (int64_t)v;
}

static void add_next_text(struct buf *out, struct pg_array_reader *r)
{
    const unsigned char *data;
    size_t length;

    assert_true(pg_array_next(r, &data, &length));
    buf_add(out, data, length);
    buf_add_char(out, ' ');
}

/* All rows of a kind as "tenant metric start quantity; …", start in minutes. */
static void assert_rows(enum total_kind kind, const char *expected)
{
    struct pg_statement s;
    struct pg_array_reader r[TOTAL_COLUMNS];
    struct buf out = {.data = NULL};
    char number[DEC_TEXT_SIZE];

    pg_statement_init(&s, "");
    totals_bind(&totals, kind, &s);
    assert_int_equal(s.params, TOTAL_COLUMNS);
    for (int i = 0; i < TOTAL_COLUMNS; i++)
        assert_int_equal(pg_array_read(&r[i], s.values[i], (size_t)s.lengths[i]), 0);
    for (int row = 0; row < totals_count(&totals, kind); row++) {
        const unsigned char *data;
        size_t length;
        struct dec quantity;

        add_next_text(&out, &r[0]);
        add_next_text(&out, &r[1]);
        /* PostgreSQL counts microseconds from 2000-01-01. */
        buf_printf(&out, "%lld ",
                   (long long)((next_i64(&r[2]) / 1000 + 946684800000LL) / MINUTE_MS));
        assert_true(pg_array_next(&r[4], &data, &length));
        assert_int_equal(dec_from_pg(data, length, &quantity), 0);
        dec_format(quantity, number);
        buf_printf(&out, "%s; ", number);
    }
    buf_add_char(&out, '\0');
    assert_string_equal(out.data, expected);
    buf_done(&out);
}

static void each_aggregation_has_its_own_sum(void **state)
{
    /* sum and count add up, max takes the greatest, last the one last used, however they came. */
    (void)state;
    know("a", 0, MONTH);
    for (int metric = CALLS; metric <= SEATS; metric++) {
        count("a", metric, 5 * MINUTE_MS, "-2.5");
        count("a", metric, 9 * MINUTE_MS, "-4");
        count("a", metric, 1 * MINUTE_MS, "-3");
        count("a", metric, 1 * MINUTE_MS + 1, "-3.000000001");
    }
    fill();
    assert_rows(TOTAL_ADD, "a calls 0 -12.500000001; a logins 0 4; ");
    assert_rows(TOTAL_MAX, "a peak 0 -2.5; ");
    assert_rows(TOTAL_LAST, "a seats 0 -4; ");
}

static void of_one_time_the_later_entry_is_last(void **state)
{
    /* Which came last decides nothing but between equal times. */
    (void)state;
    know("a", 0, MONTH);
    count("a", SEATS, 700, "1");
    count("a", SEATS, 700, "5");
    count("a", SEATS, 699, "9");
    fill();
    assert_rows(TOTAL_LAST, "a seats 0 5; ");
}

static void a_period_ends_where_the_next_begins(void **state)
{
    /* Its last minute is its own, the minute of its end is the next one's. */
    (void)state;
    know("a", 0, 10 * MINUTE_MS);
    know("a", 10 * MINUTE_MS, 20 * MINUTE_MS);
    know("b", 0, 20 * MINUTE_MS);
    count("a", CALLS, 10 * MINUTE_MS - 1, "1");
    count("a", CALLS, 10 * MINUTE_MS, "2");
    count("a", CALLS, 0, "4");
    count("b", CALLS, 0, "8");
    count("b", CALLS, 19 * MINUTE_MS, "16");
    fill();
    assert_rows(TOTAL_ADD, "a calls 0 5; a calls 10 2; b calls 0 24; ");
}

static void a_fill_begins_anew(void **state)
{
    (void)state;
    know("a", 0, MONTH);
    count("a", CALLS, 0, "1");
    fill();
    tally_clear(&tally);
    fill();
    assert_int_equal(totals_count(&totals, TOTAL_ADD), 0);
    assert_rows(TOTAL_ADD, "");
}

static void a_sum_beyond_38_digits_is_an_error(void **state)
{
    /* Never a wrap: each minute fits, their sum does not. */
    struct err e;

    (void)state;
    know("a", 0, MONTH);
    count("a", CALLS, 0, "99999999999999999999999999999");
    count("a", CALLS, MINUTE_MS, "1");
    tally_sort(&tally);
    assert_int_equal(totals_fill(&totals, catalog, &tally, periods, &e), -1);
    assert_int_equal(e.kind, ERR_RANGE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_aggregation_has_its_own_sum),    TEST(of_one_time_the_later_entry_is_last),
        TEST(a_period_ends_where_the_next_begins), TEST(a_fill_begins_anew),
        TEST(a_sum_beyond_38_digits_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
