/* The table of all metrics, and their reference, docs/metrics.md, which is made of it. */
#include "common/metric_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/reference.h" /* after cmocka.h: it asserts */

static const char HEAD[] = "# Metrics\n"
                           "\n"
                           "Each daemon serves them in Prometheus' text format at `/metrics` on "
                           "`OPS_LISTEN` (aggregator :9101, sink :9102,\n"
                           "webhookd :9103, notifier :9105). This page is made of the table in "
                           "the code, `common/metric_table.h`, by `make docs`.\n"
                           "\n"
                           "Counters begin at 0 with each process. A name, and each of its labels, "
                           "tells the same thing in every stage.\n"
                           "\n"
                           "| metric | type | labels | stage | what it tells |\n"
                           "|---|---|---|---|---|\n";

static void add_labels(struct buf *out, const char *labels)
{
    while (*labels) {
        size_t length = strcspn(labels, ",");
        buf_add_char(out, '`');
        buf_add(out, labels, length);
        buf_add_char(out, '`');
        labels += length;
        if (*labels == ',') {
            buf_add_str(out, ", ");
            labels++;
        }
    }
}

static void add_reference(struct buf *out)
{
    static const char *const TYPES[] = {"counter", "gauge", "histogram"};

    buf_add_str(out, HEAD);
    for (int i = 0; i < METRIC_IDS; i++) {
        const struct metric_spec *s = &METRIC_SPECS[i];
        buf_printf(out, "| `%s` | %s | ", s->name, TYPES[s->type]);
        add_labels(out, s->labels);
        buf_printf(out, "%s| %s | %s |\n", *s->labels ? " " : "", s->stages, s->help);
    }
}

static void the_reference_is_current(void **state)
{
    /* `make docs` writes it. */
    (void)state;
    assert_reference_is_current("docs/metrics.md", add_reference);
}

static void names_say_type_and_unit(void **state)
{
    /* https://prometheus.io/docs/practices/naming/: one prefix, base units, _total for counters. */
    (void)state;
    for (int i = 0; i < METRIC_IDS; i++) {
        const struct metric_spec *s = &METRIC_SPECS[i];
        size_t length = strlen(s->name);
        bool total = length > 6 && strcmp(s->name + length - 6, "_total") == 0;
        bool seconds = length > 8 && strcmp(s->name + length - 8, "_seconds") == 0;
        assert_int_equal(strncmp(s->name, "meterline_", 10), 0);
        assert_int_equal(total, s->type == METRIC_COUNTER);
        assert_int_equal(seconds, s->unit != METRIC_PLAIN);
        assert_true(*s->help && !strchr(s->help, '\n') && !strchr(s->help, '|'));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(s->name, METRIC_SPECS[k].name);
    }
}

static void what_alerts_rely_on_is_there(void **state)
{
    static const char *const NAMES[][2] = {{"meterline_unaccounted_events", "stream"},
                                           {"meterline_stream_lag_events", "stream"},
                                           {"meterline_oldest_waiting_seconds", "queue"},
                                           {"meterline_events_total", "outcome"},
                                           {"meterline_commit_seconds", ""},
                                           {"meterline_submissions", "state"},
                                           {"meterline_stripe_drift_units", ""},
                                           {"meterline_stripe_requests_total", "outcome"},
                                           {"meterline_quota_lag_seconds", ""},
                                           {"meterline_webhooks", "state"},
                                           {"meterline_dedupe_window_seconds", "stream"},
                                           {"meterline_clock_offset_seconds", "peer"},
                                           {"meterline_peer_up", "peer"},
                                           {"meterline_build_info", "version,revision"}};

    (void)state;
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++) {
        const char *labels = NULL;
        for (int k = 0; k < METRIC_IDS; k++)
            if (strcmp(METRIC_SPECS[k].name, NAMES[i][0]) == 0)
                labels = METRIC_SPECS[k].labels;
        assert_non_null(labels);
        assert_string_equal(labels, NAMES[i][1]);
    }
}

static void a_series_comes_from_the_table(void **state)
{
    (void)state;
    struct buf page = {0};
    metric_count(METRIC_OF_REJECTED, "bad_field");
    metric_count(METRIC_OF_REJECTED, "bad_field");
    metric_set(metric_with(METRIC_OF_OLDEST_WAITING, "a\"b\\c\nd"), 1500);
    metric_set(metric_of(METRIC_OF_BUILD_INFO, "version=\"1\",revision=\"a,b\""), 1);
    metric_count(METRIC_OF_WEBHOOKS_WORKED, "processed");
    metric_clear(METRIC_OF_WEBHOOKS_WORKED);
    metrics_print(&page);
    assert_non_null(strstr(page.data, "meterline_rejected_total{reason=\"bad_field\"} 2\n"));
    assert_non_null(
        strstr(page.data, "meterline_oldest_waiting_seconds{queue=\"a\\\"b\\\\c\\nd\"} 1.5\n"));
    assert_non_null(strstr(page.data, "meterline_build_info{version=\"1\",revision=\"a,b\"} 1\n"));
    assert_non_null(
        strstr(page.data, "meterline_webhooks_worked_total{outcome=\"processed\"} 0\n"));
    assert_non_null(strstr(page.data, "# TYPE meterline_rejected_total counter\n"));
    buf_done(&page);
    metrics_done();
}

int main(int argc, char **argv)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reference_is_current),
        cmocka_unit_test(names_say_type_and_unit),
        cmocka_unit_test(what_alerts_rely_on_is_there),
        cmocka_unit_test(a_series_comes_from_the_table),
    };
    if (print_reference(argc, argv, add_reference))
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
