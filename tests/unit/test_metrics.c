/* Numbers for Prometheus. */
#include "common/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_page(const char *expected)
{
    struct buf page = {0};
    buf_add_str(&page, "");
    metrics_print(&page);
    assert_string_equal(page.data, expected);
    buf_done(&page);
}

static int forget_all(void **state)
{
    (void)state;
    metrics_done();
    return 0;
}

static void series_of_one_name_stand_together(void **state)
{
    /* HELP and TYPE come once a name, then all its series, in whatever order they were made. */
    (void)state;
    struct metric *counted = metric_get("meterline_events_total", "outcome=\"counted\"",
                                        "Events by outcome.", METRIC_COUNTER, METRIC_PLAIN);
    metric_set(metric_get("meterline_stream_lag_events", "", "Entries past the position.",
                          METRIC_GAUGE, METRIC_PLAIN),
               -3);
    metric_get("meterline_events_total", "outcome=\"rejected\"", "Events by outcome.",
               METRIC_COUNTER, METRIC_PLAIN);
    metric_add(counted, 40);
    metric_add(counted, 1);
    metric_add(counted, 1);
    assert_page("# HELP meterline_events_total Events by outcome.\n"
                "# TYPE meterline_events_total counter\n"
                "meterline_events_total{outcome=\"counted\"} 42\n"
                "meterline_events_total{outcome=\"rejected\"} 0\n"
                "# HELP meterline_stream_lag_events Entries past the position.\n"
                "# TYPE meterline_stream_lag_events gauge\n"
                "meterline_stream_lag_events -3\n");
}

static void the_same_series_is_found_again(void **state)
{
    /* Name and labels give the same series at every call; other labels another one. */
    (void)state;
    struct metric *a = metric_get("m", "x=\"1\"", "h", METRIC_GAUGE, METRIC_PLAIN);
    struct metric *b = metric_get("m", "x=\"2\"", "h", METRIC_GAUGE, METRIC_PLAIN);
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(metric_get("m", "x=\"1\"", "h", METRIC_GAUGE, METRIC_PLAIN), a);
    metric_set(a, 7);
    metric_add(a, -2);
    assert_int_equal(metric_value(a), 5);
    assert_int_equal(metric_value(b), 0);
}

static void labels_are_copied(void **state)
{
    /* The caller's text may change after the call. */
    (void)state;
    char labels[] = "x=\"1\"";
    metric_get("m", labels, "h", METRIC_GAUGE, METRIC_PLAIN);
    labels[3] = '2';
    assert_page("# HELP m h\n# TYPE m gauge\nm{x=\"1\"} 0\n");
}

static void seconds_print_exactly(void **state)
{
    /* Milliseconds and microseconds print as decimal seconds, exact and as short as can be. */
    (void)state;
    static const struct {
        int64_t value;
        const char *of_ms;
        const char *of_us;
    } cases[] = {
        {0, "0", "0"},
        {1, "0.001", "0.000001"},
        {-1, "-0.001", "-0.000001"},
        {1500, "1.5", "0.0015"},
        {1000, "1", "0.001"},
        {60000, "60", "0.06"},
        {-1001, "-1.001", "-0.001001"},
        {1000000, "1000", "1"},
        {12345678, "12345.678", "12.345678"},
        {INT64_MAX, "9223372036854775.807", "9223372036854.775807"},
        {INT64_MIN, "-9223372036854775.808", "-9223372036854.775808"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *expected = xasprintf("# HELP a h\n# TYPE a gauge\na %s\n"
                                   "# HELP b h\n# TYPE b gauge\nb %s\n",
                                   cases[i].of_ms, cases[i].of_us);
        metric_set(metric_get("a", "", "h", METRIC_GAUGE, METRIC_MS_AS_SECONDS), cases[i].value);
        metric_set(metric_get("b", "", "h", METRIC_GAUGE, METRIC_US_AS_SECONDS), cases[i].value);
        assert_page(expected);
        free(expected);
    }
}

static void histograms_are_cumulative(void **state)
{
    /* Each bucket counts all values up to its bound, which is included; sum and count follow. */
    (void)state;
    struct metric *m = metric_get("meterline_commit_seconds", "", "Commits.", METRIC_HISTOGRAM,
                                  METRIC_US_AS_SECONDS);
    static const int64_t values_us[] = {0, 1000, 1001, 20000, 60000000, 60000001, 90000000};
    for (size_t i = 0; i < sizeof values_us / sizeof *values_us; i++)
        metric_observe(m, values_us[i]);
    assert_page("# HELP meterline_commit_seconds Commits.\n"
                "# TYPE meterline_commit_seconds histogram\n"
                "meterline_commit_seconds_bucket{le=\"0.001\"} 2\n"
                "meterline_commit_seconds_bucket{le=\"0.002\"} 3\n"
                "meterline_commit_seconds_bucket{le=\"0.005\"} 3\n"
                "meterline_commit_seconds_bucket{le=\"0.01\"} 3\n"
                "meterline_commit_seconds_bucket{le=\"0.02\"} 4\n"
                "meterline_commit_seconds_bucket{le=\"0.05\"} 4\n"
                "meterline_commit_seconds_bucket{le=\"0.1\"} 4\n"
                "meterline_commit_seconds_bucket{le=\"0.2\"} 4\n"
                "meterline_commit_seconds_bucket{le=\"0.5\"} 4\n"
                "meterline_commit_seconds_bucket{le=\"1\"} 4\n"
                "meterline_commit_seconds_bucket{le=\"2\"} 4\n"
                "meterline_commit_seconds_bucket{le=\"5\"} 4\n"
                "meterline_commit_seconds_bucket{le=\"10\"} 4\n"
                "meterline_commit_seconds_bucket{le=\"30\"} 4\n"
                "meterline_commit_seconds_bucket{le=\"60\"} 5\n"
                "meterline_commit_seconds_bucket{le=\"+Inf\"} 7\n"
                "meterline_commit_seconds_sum 210.022002\n"
                "meterline_commit_seconds_count 7\n");
}

static void histograms_keep_their_labels(void **state)
{
    /* In milliseconds the buckets are the same, and le stands behind the series' own labels. */
    (void)state;
    struct metric *m =
        metric_get("s", "peer=\"redis\"", "h", METRIC_HISTOGRAM, METRIC_MS_AS_SECONDS);
    metric_observe(m, 1);
    metric_observe(m, 60000);
    struct buf page = {0};
    metrics_print(&page);
    assert_non_null(strstr(page.data, "\ns_bucket{peer=\"redis\",le=\"0.001\"} 1\n"));
    assert_non_null(strstr(page.data, "\ns_bucket{peer=\"redis\",le=\"60\"} 2\n"));
    assert_non_null(strstr(page.data, "\ns_bucket{peer=\"redis\",le=\"+Inf\"} 2\n"));
    assert_non_null(strstr(page.data, "\ns_sum{peer=\"redis\"} 60.001\n"));
    assert_non_null(strstr(page.data, "\ns_count{peer=\"redis\"} 2\n"));
    buf_done(&page);
}

static void nothing_prints_nothing(void **state)
{
    /* Without series, and again after all were forgotten, the page is empty. */
    (void)state;
    assert_page("");
    metric_get("m", "", "h", METRIC_GAUGE, METRIC_PLAIN);
    metrics_done();
    assert_page("");
}

static void series_are_forgotten_by_their_labels(void **state)
{
    /* What told of one stream goes, in every family, and nothing else. */
    (void)state;
    const char *const labels[] = {"stream=\"a\"", "stream=\"b\"", ""};
    for (int i = 0; i < 3; i++) {
        metric_set(metric_get("lag", labels[i], "h", METRIC_GAUGE, METRIC_PLAIN), i);
        metric_set(metric_get("window", labels[i], "h", METRIC_GAUGE, METRIC_PLAIN), i);
    }
    metrics_forget("stream=\"a\"");
    assert_page("# HELP lag h\n# TYPE lag gauge\nlag{stream=\"b\"} 1\nlag 2\n"
                "# HELP window h\n# TYPE window gauge\nwindow{stream=\"b\"} 1\nwindow 2\n");
    assert_int_equal(
        metric_value(metric_get("lag", "stream=\"a\"", "h", METRIC_GAUGE, METRIC_PLAIN)), 0);
}

static void a_name_is_dropped_with_all_its_series(void **state)
{
    /* Also its HELP and TYPE, until it has a series again. */
    (void)state;
    metric_get("silent", "metric=\"a\"", "h", METRIC_GAUGE, METRIC_PLAIN);
    metric_get("silent", "metric=\"b\"", "h", METRIC_GAUGE, METRIC_PLAIN);
    metric_get("lag", "", "h", METRIC_GAUGE, METRIC_PLAIN);
    metrics_drop("silent");
    metrics_drop("unknown");
    assert_page("# HELP lag h\n# TYPE lag gauge\nlag 0\n");
    metric_set(metric_get("silent", "metric=\"b\"", "h", METRIC_GAUGE, METRIC_PLAIN), 2);
    assert_page("# HELP silent h\n# TYPE silent gauge\nsilent{metric=\"b\"} 2\n"
                "# HELP lag h\n# TYPE lag gauge\nlag 0\n");
}

#define TEST(name) cmocka_unit_test_teardown(name, forget_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(series_of_one_name_stand_together),
        TEST(the_same_series_is_found_again),
        TEST(labels_are_copied),
        TEST(seconds_print_exactly),
        TEST(histograms_are_cumulative),
        TEST(histograms_keep_their_labels),
        TEST(series_are_forgotten_by_their_labels),
        TEST(a_name_is_dropped_with_all_its_series),
        TEST(nothing_prints_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
