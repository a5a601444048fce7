/* A meter counts what we send as we bill it, or it is told why not. */
#include "common/stripe/stripe_meter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static json_t *make_meter(const char *status, const char *formula)
{
    return json_pack("{s:s, s:s, s:{s:s}, s:{s:s, s:s}, s:{s:s}, s:n}", "event_name", "calls",
                     "status", status, "default_aggregation", "formula", formula,
                     "customer_mapping", "event_payload_key", "stripe_customer_id", "type", "by_id",
                     "value_settings", "event_payload_key", "value", "event_time_window");
}

static void assert_fault(const json_t *meter, bool newest, const char *words)
{
    struct err e = {0};
    assert_int_equal(stripe_meter_check(meter, "calls", newest, &e), -1);
    assert_int_equal(e.kind, ERR_INPUT);
    if (!strstr(e.text, words))
        fail_msg("%s: not in: %s", words, e.text);
}

static void set_key(json_t *meter, const char *group, const char *key)
{
    json_object_set_new(json_object_get(meter, group), "event_payload_key", json_string(key));
}

static void test_good(void **state)
{
    (void)state;
    struct err e;
    json_t *sum = make_meter("active", "sum");
    json_t *last = make_meter("active", "last");
    assert_int_equal(stripe_meter_check(sum, "calls", false, &e), 0);
    assert_int_equal(stripe_meter_check(last, "calls", true, &e), 0);
    json_decref(sum);
    json_decref(last);
}

static void test_faults(void **state)
{
    (void)state;
    json_t *meter = make_meter("inactive", "sum");
    assert_fault(NULL, false, "no meter with event name calls");
    assert_fault(meter, false, "archived: reactivate it");
    json_object_set_new(meter, "status", json_string("active"));
    assert_fault(meter, true, "has formula sum, not last");
    set_key(meter, "customer_mapping", "customer");
    assert_fault(meter, false, "customer_mapping by the key customer, not stripe_customer_id");
    set_key(meter, "customer_mapping", "stripe_customer_id");
    set_key(meter, "value_settings", "tokens");
    assert_fault(meter, false, "value_settings by the key tokens, not value");
    set_key(meter, "value_settings", "value");
    json_object_set_new(meter, "event_time_window", json_string("hour"));
    assert_fault(meter, false, "event_time_window hour");
    json_decref(meter);
    meter = make_meter("active", "count");
    assert_fault(meter, false, "has formula count, not sum");
    json_decref(meter);
}

static void test_better(void **state)
{
    (void)state;
    json_t *old = make_meter("inactive", "sum");
    json_t *new = make_meter("active", "sum");
    assert_ptr_equal(stripe_meter_better(NULL, old), old);
    assert_ptr_equal(stripe_meter_better(old, new), new);
    assert_ptr_equal(stripe_meter_better(new, old), new);
    json_decref(old);
    json_decref(new);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_better),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
