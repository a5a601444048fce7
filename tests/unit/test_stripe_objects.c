/* Stripe's events and objects are read as documented, subscriptions in both of their shapes; what
 * is malformed is refused. */
#include "webhookd/receive/stripe_event.h"
#include "webhookd/work/stripe_objects.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *must_load(const char *text)
{
    json_error_t why;
    json_t *json = json_loads(text, 0, &why);
    assert_non_null(json);
    return json;
}

static void test_events_accepted(void **state)
{
    (void)state;
    const struct {
        const char *text;
        const char *object_id;
        int64_t created_s;
        bool livemode;
    } ROWS[] = {
        {"{\"id\":\"evt_1\",\"type\":\"a.b\",\"created\":5,\"livemode\":true,"
         "\"data\":{\"object\":{\"id\":\"cus_1\"}}}",
         "cus_1", 5, true},
        {"{\"id\":\"evt_1\",\"type\":\"a.b\",\"created\":0,\"data\":{\"object\":{}}}", NULL, 0,
         false},
        {"{\"id\":\"evt_1\",\"type\":\"a.b\",\"created\":5,\"data\":{\"object\":{\"id\":\"a/b\"}}}",
         NULL, 5, false},
        {"{\"id\":\"evt_1\",\"type\":\"a.b\",\"created\":5}", NULL, 5, false},
        {"{\"id\":\"evt_1\",\"object\":\"v2.core.event\",\"type\":\"v1.billing.meter.x\","
         "\"created\":\"2026-11-21T06:41:10.920Z\",\"related_object\":{\"id\":\"mtr_1\"}}",
         "mtr_1", 1795243270, false},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct stripe_event event;
        struct err e;
        assert_int_equal(stripe_event_parse(ROWS[i].text, strlen(ROWS[i].text), &event, &e), 0);
        assert_int_equal(event.created_s, ROWS[i].created_s);
        assert_int_equal(event.livemode, ROWS[i].livemode);
        if (ROWS[i].object_id)
            assert_string_equal(event.object_id, ROWS[i].object_id);
        else
            assert_null(event.object_id);
        stripe_event_done(&event);
    }
}

static void test_events_refused(void **state)
{
    (void)state;
    const char *const ROWS[] = {
        "",
        "{",
        "[]",
        "null",
        "\"x\"",
        "{}",
        "{\"id\":\"evt_1\"}",
        "{\"id\":1,\"type\":\"a\",\"created\":5}",
        "{\"id\":\"\",\"type\":\"a\",\"created\":5}",
        "{\"id\":\"../x\",\"type\":\"a\",\"created\":5}",
        "{\"id\":\"evt_1\",\"type\":\"\",\"created\":5}",
        "{\"id\":\"evt_1\",\"type\":\"a\\u0001\",\"created\":5}",
        "{\"id\":\"evt_1\",\"type\":\"a\",\"created\":-1}",
        "{\"id\":\"evt_1\",\"type\":\"a\",\"created\":253402300800}",
        "{\"id\":\"evt_1\",\"type\":\"a\",\"created\":\"2026-11-21\"}",
        "{\"id\":\"evt_1\",\"type\":\"a\",\"created\":\"2026-11-21T06:41:10+01:00\"}",
        "{\"id\":\"evt_1\",\"type\":\"a\",\"created\":5} x",
        "{\"id\":\"evt_1\",\"type\":\"a\",\"created\":5,\"x\":\"\xff\"}",
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct stripe_event event;
        struct err e;
        assert_int_equal(stripe_event_parse(ROWS[i], strlen(ROWS[i]), &event, &e), -1);
        assert_int_equal(e.kind, ERR_INPUT);
    }
}

/* previous_attributes hold what differs, nested, lists whole. */
static void test_prior_object(void **state)
{
    (void)state;
    const char *text =
        "{\"id\":\"evt_1\",\"type\":\"a\",\"created\":5,\"data\":{\"object\":{\"id\":\"o\",\"a\":1,"
        "\"metadata\":{\"tenant\":\"new\",\"kept\":\"k\"},\"list\":[1,2]},"
        "\"previous_attributes\":{\"a\":null,\"metadata\":{\"tenant\":\"old\"},\"list\":[1]}}}";
    struct stripe_event event;
    struct err e;
    assert_int_equal(stripe_event_parse(text, strlen(text), &event, &e), 0);
    json_t *prior = stripe_event_prior_object(&event);
    json_t *wanted = must_load("{\"id\":\"o\",\"a\":null,\"metadata\":{\"tenant\":\"old\","
                               "\"kept\":\"k\"},\"list\":[1]}");
    assert_true(json_equal(prior, wanted));
    assert_string_equal(metadata_tenant(event.object), "new");
    json_decref(wanted);
    json_decref(prior);
    stripe_event_done(&event);
}

#define PRICE                                                                                      \
    "{\"id\":\"price_1\",\"lookup_key\":\"standard\",\"product\":\"prod_1\",\"metadata\":"         \
    "{\"plan\":\"second\"},\"recurring\":{\"interval\":\"year\",\"interval_count\":2,"             \
    "\"usage_type\":\"licensed\"}}"
#define METERED                                                                                    \
    "{\"id\":\"price_2\",\"lookup_key\":null,\"product\":{\"id\":\"prod_2\",\"metadata\":{"        \
    "\"plan\":"                                                                                    \
    "\"third\"}},\"metadata\":{\"metric\":\"llm_tokens\"},\"recurring\":{\"interval\":\"month\","  \
    "\"interval_count\":1,\"usage_type\":\"metered\"}}"
#define REST                                                                                       \
    "\"id\":\"sub_1\",\"customer\":\"cus_1\",\"status\":\"active\",\"start_date\":90,"             \
    "\"billing_cycle_anchor\":95,\"metadata\":{\"plan\":\"first\",\"tenant\":\"acme\"},"           \
    "\"cancel_at_period_end\":false"

/* The metered item leads: its period and its interval count. */
static const char BASIL[] =
    "{" REST ",\"items\":{\"data\":["
    "{\"id\":\"si_b\",\"quantity\":3,\"current_period_start\":1,\"current_period_end\":2,"
    "\"price\":" PRICE
    "},{\"id\":\"si_a\",\"current_period_start\":100,\"current_period_end\":200,\"price\":" METERED
    "}]}}";
static const char ACACIA[] =
    "{" REST ",\"current_period_start\":100,\"current_period_end\":200,\"items\":{\"data\":["
    "{\"id\":\"si_a\",\"price\":" METERED "},{\"id\":\"si_b\",\"quantity\":3,\"price\":" PRICE
    "}]}}";

static void test_subscription_shapes(void **state)
{
    (void)state;
    const char *const ROWS[] = {BASIL, ACACIA};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct subscription_object s;
        struct err e;
        json_t *object = must_load(ROWS[i]);
        assert_int_equal(subscription_object_parse(object, &s, &e), 0);
        assert_int_equal(s.period_start_s, 100);
        assert_int_equal(s.period_end_s, 200);
        assert_string_equal(s.interval, "month");
        assert_int_equal(s.interval_count, 1);
        assert_int_equal(s.anchor_s, 95);
        assert_int_equal(s.started_s, 90);
        assert_string_equal(s.tenant, "acme");
        /* The same state, whatever the shape and the order of items. */
        assert_string_equal(s.fingerprint, "cus_1|active|100|200|0|0|si_a=price_2|si_b=price_1*3");
        subscription_object_done(&s);
        json_decref(object);
    }
}

static void test_plan_candidates(void **state)
{
    (void)state;
    struct subscription_object s;
    struct err e;
    json_t *object = must_load(ACACIA);
    assert_int_equal(subscription_object_parse(object, &s, &e), 0);
    json_t *keys = must_load("[\"standard\"]");
    json_t *plans = must_load("[\"first\",\"third\",\"prod_2\",\"second\",\"prod_1\"]");
    assert_true(json_equal(s.lookup_keys, keys));
    assert_true(json_equal(s.plans, plans));
    assert_string_equal(stripe_text(json_array_get(s.items, 0), "metric"), "llm_tokens");
    json_decref(keys);
    json_decref(plans);
    subscription_object_done(&s);
    json_decref(object);
}

static void test_subscriptions_refused(void **state)
{
    (void)state;
    const char *const ROWS[] = {
        "{}",
        "{\"id\":\"sub_1\"}",
        "{\"id\":\"sub_1\",\"customer\":\"cus_1\",\"status\":\"active\"}",
        "{\"id\":\"a b\",\"customer\":\"cus_1\",\"status\":\"active\",\"current_period_start\":1,"
        "\"current_period_end\":2}",
        "{\"id\":\"sub_1\",\"customer\":null,\"status\":\"active\",\"current_period_start\":1,"
        "\"current_period_end\":2}",
        "{\"id\":\"sub_1\",\"customer\":\"cus_1\",\"current_period_start\":1,\"current_period_"
        "end\":2}",
        "{\"id\":\"sub_1\",\"customer\":\"cus_1\",\"status\":\"active\",\"items\":{\"data\":[{"
        "\"price\":"
        "{\"recurring\":{\"interval\":\"decade\"}},\"current_period_start\":1,"
        "\"current_period_end\":2}]}}",
        "{\"id\":\"sub_1\",\"customer\":\"cus_1\",\"status\":\"active\",\"items\":[1,2],"
        "\"current_period_start\":\"1\",\"current_period_end\":2}",
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct subscription_object s;
        struct err e;
        json_t *object = must_load(ROWS[i]);
        assert_int_equal(subscription_object_parse(object, &s, &e), -1);
        subscription_object_done(&s);
        json_decref(object);
    }
}

static void test_tenants(void **state)
{
    (void)state;
    char text[130];
    memset(text, 'x', 129);
    text[129] = '\0';
    assert_false(tenant_is_valid(text));
    text[128] = '\0';
    assert_true(tenant_is_valid(text));
    assert_true(tenant_is_valid("M\xc3\xbcller & Co"));
    assert_false(tenant_is_valid("a\nb"));
    assert_false(tenant_is_valid(""));
}

static void test_meter_reports(void **state)
{
    (void)state;
    const struct {
        const char *text;
        const char *named; /* NULL: it lacks its data */
        int64_t error_count;
        int64_t start_s;
    } ROWS[] = {
        {"{}", NULL, 0, 0},
        {"{\"data\":{}}", NULL, 0, 0},
        {"{\"data\":{\"reason\":{}}}", "[]", 0, -1},
        {"{\"data\":{\"reason\":{\"error_count\":7,\"error_types\":[{\"code\":\"no_meter\","
         "\"sample_errors\":[{\"error_message\":\"No.\",\"request\":{\"identifier\":\"ml-1\","
         "\"idempotency_key\":\"x\"}},{\"request\":{\"idempotency_key\":\"ml-2.13\"}},"
         "{\"request\":{}},5]},{\"sample_errors\":\"?\"}]},"
         "\"validation_start\":\"1970-01-01T00:01:00.500Z\"}}",
         "[{\"identifier\": \"ml-1\", \"error\": \"refused later: no_meter: No.\"}, "
         "{\"identifier\": \"ml-2\", \"error\": \"refused later: no_meter: \"}]",
         7, 60},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct meter_report report = {0};
        json_t *event = must_load(ROWS[i].text);
        assert_int_equal(meter_report_parse(event, &report), ROWS[i].named ? 0 : -1);
        if (ROWS[i].named) {
            json_t *named = must_load(ROWS[i].named);
            assert_true(json_equal(report.named, named));
            assert_int_equal(report.error_count, ROWS[i].error_count);
            assert_int_equal(report.start_s, ROWS[i].start_s);
            assert_int_equal(report.end_s, -1);
            json_decref(named);
        }
        meter_report_done(&report);
        json_decref(event);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_events_accepted), cmocka_unit_test(test_events_refused),
        cmocka_unit_test(test_prior_object),    cmocka_unit_test(test_subscription_shapes),
        cmocka_unit_test(test_plan_candidates), cmocka_unit_test(test_subscriptions_refused),
        cmocka_unit_test(test_tenants),         cmocka_unit_test(test_meter_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
