/* The catalog in memory. */
#include "aggregator/batch/catalog.h"
#include "common/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static int add(struct catalog *c, const char *name, struct err *e)
{
    struct metric_def m = {.aggregation = AGG_SUM};

    memcpy(m.name, name, strlen(name));
    return catalog_add(c, &m, e);
}

static void every_metric_is_found_by_its_name(void **state)
{
    /* A name finds its own index, however many there are; what is no name of a metric finds none.
     */
    (void)state;
    struct catalog *c = catalog_new();
    struct err e;
    char name[METRIC_MAX_BYTES + 1];

    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "metric_%d", i);
        assert_int_equal(add(c, name, &e), i);
    }
    for (int i = 0; i < 1000; i++) {
        int length = snprintf(name, sizeof(name), "metric_%d", i);
        assert_int_equal(catalog_find(c, name, (size_t)length), i);
    }
    assert_int_equal(catalog_find(c, "metric_1000", 11), -1);
    assert_int_equal(catalog_find(c, "metric_", 7), -1);
    assert_int_equal(catalog_find(c, "metric_1\0", 9), -1);
    assert_int_equal(catalog_find(c, "", 0), -1);
    catalog_free(c);
}

static void the_longest_name_is_found(void **state)
{
    /* 64 bytes are a name, 65 are not. */
    (void)state;
    static const char longest[] =
        "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdefg";
    struct catalog *c = catalog_new();
    struct metric_def m = {.aggregation = AGG_MAX};
    struct err e;

    memcpy(m.name, longest, METRIC_MAX_BYTES);
    assert_int_equal(catalog_add(c, &m, &e), 0);
    assert_int_equal(catalog_find(c, longest, METRIC_MAX_BYTES), 0);
    assert_int_equal(catalog_find(c, longest, METRIC_MAX_BYTES - 1), -1);
    assert_int_equal(catalog_find(c, longest, METRIC_MAX_BYTES + 1), -1);
    memcpy(m.name, longest, METRIC_MAX_BYTES + 1);
    assert_int_equal(catalog_add(c, &m, &e), -1);
    catalog_free(c);
}

static void a_metric_is_copied_with_sorted_dimensions(void **state)
{
    /* The catalog keeps no pointer of the caller's, and dimensions in the order of their bytes. */
    (void)state;
    char b[] = "region";
    char a[] = "model";
    char *dimensions[] = {b, a};
    struct metric_def m = {.name = "tokens", .dimensions = dimensions, .dimensions_count = 2};
    struct catalog *c = catalog_new();
    struct err e;

    assert_int_equal(catalog_add(c, &m, &e), 0);
    memset(a, 'x', sizeof(a) - 1);
    memset(b, 'x', sizeof(b) - 1);
    assert_string_equal(c->metrics[0].dimensions[0], "model");
    assert_string_equal(c->metrics[0].dimensions[1], "region");
    catalog_free(c);
}

static void bad_metrics_are_refused(void **state)
{
    /* A bad name, a name twice, a bad dimension, one twice and too many give an err and no metric.
     */
    (void)state;
    char good[] = "model";
    char bad[] = "Model";
    char *twice[] = {good, good};
    char *wrong[] = {bad};
    char *many[DIMENSIONS_MAX + 1];
    char names[DIMENSIONS_MAX + 1][16];
    struct catalog *c = catalog_new();
    struct err e;
    struct metric_def m = {.name = "other", .dimensions = twice, .dimensions_count = 2};

    for (int i = 0; i <= DIMENSIONS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "d%d", i);
        many[i] = names[i];
    }
    assert_int_equal(add(c, "calls", &e), 0);
    assert_int_equal(add(c, "calls", &e), -1);
    assert_int_equal(e.kind, ERR_INPUT);
    assert_int_equal(add(c, "", &e), -1);
    assert_int_equal(add(c, "Calls", &e), -1);
    assert_int_equal(catalog_add(c, &m, &e), -1);
    m.dimensions = wrong;
    m.dimensions_count = 1;
    assert_int_equal(catalog_add(c, &m, &e), -1);
    m.dimensions = many;
    m.dimensions_count = DIMENSIONS_MAX + 1;
    assert_int_equal(catalog_add(c, &m, &e), -1);
    m.dimensions_count = DIMENSIONS_MAX;
    assert_int_equal(catalog_add(c, &m, &e), 1);
    assert_int_equal(c->count, 2);
    catalog_free(c);
}

static void derived_metrics_are_linked_to_their_base(void **state)
{
    /* A base knows what is derived from it; from must name a metric with events of its own. */
    (void)state;
    char from[] = "tokens";
    char name[] = "model";
    char value[] = "large";
    struct catalog_filter where[] = {{.name = name, .value = value}};
    struct metric_def m = {.name = "large", .from = from, .where = where, .where_count = 1};
    struct catalog *c = catalog_new();
    struct err e;

    assert_int_equal(catalog_add(c, &m, &e), 0);
    assert_int_equal(catalog_link(c, &e), -1);
    assert_int_equal(add(c, "tokens", &e), 1);
    assert_int_equal(catalog_link(c, &e), 0);
    assert_int_equal(c->metrics[1].derived_count, 1);
    assert_int_equal(c->metrics[1].derived[0], 0);
    memcpy(from, "large", sizeof("large"));
    memcpy(m.name, "second", sizeof("second"));
    assert_int_equal(catalog_add(c, &m, &e), 2);
    assert_int_equal(catalog_link(c, &e), -1);
    catalog_free(c);
}

static void aggregations_have_names(void **state)
{
    /* Each name gives its aggregation and back; others give none. */
    (void)state;
    static const char *const names[] = {"sum", "count", "max", "last", "unique"};
    enum aggregation a = AGG_SUM;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        assert_int_equal(aggregation_parse(names[i], &a), 0);
        assert_int_equal((size_t)a, i);
        assert_string_equal(aggregation_name(a), names[i]);
    }
    assert_int_equal(aggregation_parse("average", &a), -1);
    assert_int_equal(aggregation_parse("", &a), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_metric_is_found_by_its_name),
        cmocka_unit_test(the_longest_name_is_found),
        cmocka_unit_test(a_metric_is_copied_with_sorted_dimensions),
        cmocka_unit_test(bad_metrics_are_refused),
        cmocka_unit_test(derived_metrics_are_linked_to_their_base),
        cmocka_unit_test(aggregations_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
