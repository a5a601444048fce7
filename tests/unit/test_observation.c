/* Stripe's events and objects are read as documented, in the shapes of every API version; what is
 * malformed is refused. */
#include "common/stripe/objects/facts.h"
#include "common/stripe/objects/observation.h"
#include "common/stripe/objects/stripe_event.h"
#include "webhookd/work/meter_report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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
        "{\"id\":\"evt_1\",\"type\":\"a\",\"created\":5,\"data\":{\"object\":{\"id\":\"o\",\"tax\":"
        "1,"
        "\"metadata\":{\"tenant\":\"new\",\"plan\":\"k\"},\"items\":[1,2]},"
        "\"previous_attributes\":{\"tax\":null,\"metadata\":{\"tenant\":\"old\"},\"items\":[1]}}}";
    struct stripe_event event;
    struct err e;
    assert_int_equal(stripe_event_parse(text, strlen(text), &event, &e), 0);
    json_t *prior = stripe_event_prior_object(&event);
    json_t *wanted = must_load("{\"id\":\"o\",\"tax\":null,\"metadata\":{\"tenant\":\"old\","
                               "\"plan\":\"k\"},\"items\":[1]}");
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

static json_t *observe(const char *type, const char *object, const char *previous)
{
    char text[4096];
    struct stripe_event event;
    struct err e;
    (void)snprintf(
        text, sizeof text,
        "{\"id\":\"evt_1\",\"type\":\"%s\",\"created\":500,\"data\":{\"object\":%s%s%s}}", type,
        object, previous ? ",\"previous_attributes\":" : "", previous ? previous : "");
    assert_int_equal(stripe_event_parse(text, strlen(text), &event, &e), 0);
    const struct object_kind *kind = object_kind_of(type);
    assert_non_null(kind);
    json_t *o = observe_event(kind, &event, &e);
    stripe_event_done(&event);
    return o;
}

static void must_say(const json_t *object, const char *wanted)
{
    const char *key;
    json_t *value;
    json_t *all = must_load(wanted);
    json_object_foreach(all, key, value)
    {
        if (!json_equal(value, json_object_get(object, key)))
            fail_msg("%s is %s", key,
                     json_dumps(json_object_get(object, key), JSON_ENCODE_ANY | JSON_COMPACT));
    }
    json_decref(all);
}

static void test_subscription_shapes(void **state)
{
    (void)state;
    const char *const ROWS[] = {BASIL, ACACIA};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        json_t *o = observe("customer.subscription.created", ROWS[i], NULL);
        assert_non_null(o);
        must_say(o,
                 "{\"object\":\"sub_1\",\"customer\":\"cus_1\",\"tenant\":\"acme\",\"starts\":100,"
                 "\"ends\":200,\"first\":true,\"final\":false,\"prior\":null,\"created\":500}");
        must_say(json_object_get(o, "facts"),
                 "{\"billing_interval\":\"month\",\"interval_count\":1,\"billing_cycle_anchor\":95,"
                 "\"started_at\":90,\"plan_name\":\"first\"}");
        must_say(json_array_get(json_object_get(o, "prices"), 1 - i),
                 "{\"id\":\"price_2\",\"metric\":\"llm_tokens\",\"product\":\"prod_2\","
                 "\"product_plan_name\":\"third\",\"usage_type\":\"metered\"}");
        must_say(json_array_get(json_object_get(o, "prices"), i),
                 "{\"id\":\"price_1\",\"lookup_key\":\"standard\",\"plan_name\":\"second\"}");
        /* In the order of their ids, whatever Stripe's. */
        must_say(json_array_get(json_object_get(json_object_get(o, "facts"), "items"), 1),
                 "{\"id\":\"si_b\",\"price\":\"price_1\",\"quantity\":3}");
        json_decref(o);
    }
}

/* A price that has lost its key was the plan's, even if no other event tells. */
static void test_a_key_that_moved(void **state)
{
    (void)state;
    json_t *o =
        observe("price.updated", "{\"id\":\"price_1\",\"lookup_key\":null,\"currency\":\"usd\"}",
                "{\"lookup_key\":\"standard\"}");
    assert_non_null(o);
    assert_int_equal(json_array_size(json_object_get(o, "prices")), 2);
    assert_null(json_object_get(json_array_get(json_object_get(o, "prices"), 0), "lookup_key"));
    must_say(json_array_get(json_object_get(o, "prices"), 1),
             "{\"id\":\"price_1\",\"lookup_key\":\"standard\",\"currency\":\"usd\"}");
    json_decref(o);
}

/* The state before an event is that of the event before it, to the digest. */
static void test_the_state_before(void **state)
{
    (void)state;
    json_t *made = observe("customer.subscription.created", ACACIA, NULL);
    char later[sizeof ACACIA + 8];
    (void)snprintf(later, sizeof later, "%s", ACACIA);
    memcpy(strstr(later, "active"), "paused", 6);
    json_t *paused = observe("customer.subscription.updated", later, "{\"status\":\"active\"}");
    json_t *echo = observe("customer.subscription.paused", later, NULL);
    assert_true(json_equal(json_object_get(made, "state"), json_object_get(paused, "prior")));
    assert_false(json_equal(json_object_get(paused, "state"), json_object_get(paused, "prior")));
    assert_true(json_equal(json_object_get(echo, "state"), json_object_get(echo, "prior")));
    assert_true(json_equal(json_object_get(echo, "state"), json_object_get(paused, "state")));
    must_say(paused, "{\"prior_status\":\"active\",\"prior_starts\":100,\"prior_ends\":200,"
                     "\"detail\":{\"before\":{\"status\":\"active\"},\"after\":{\"status\":"
                     "\"paused\"}}}");
    json_decref(made);
    json_decref(paused);
    json_decref(echo);
}

/* A renewal is another state, but nothing that revenue follows from. */
static void test_shapes(void **state)
{
    (void)state;
    json_t *o = observe("customer.subscription.created", ACACIA, NULL);
    char renewed[sizeof ACACIA];
    memcpy(renewed, ACACIA, sizeof renewed);
    memcpy(strstr(renewed, "\"current_period_start\":100") + 23, "200", 3);
    memcpy(strstr(renewed, "\"current_period_end\":200") + 21, "300", 3);
    json_t *r = observe("customer.subscription.updated", renewed, NULL);
    assert_true(json_equal(json_object_get(o, "shape"), json_object_get(r, "shape")));
    assert_false(json_equal(json_object_get(o, "state"), json_object_get(r, "state")));
    json_decref(o);
    json_decref(r);
}

static void test_invoices_and_payments(void **state)
{
    (void)state;
    const struct {
        const char *type;
        const char *object;
        const char *wanted;
        const char *facts;
    } ROWS[] = {
        {"invoice.paid",
         "{\"id\":\"in_1\",\"customer\":\"cus_1\",\"status\":\"paid\",\"currency\":\"jpy\","
         "\"subscription\":\"sub_1\",\"tax\":3,\"subscription_details\":{\"metadata\":{\"tenant\":"
         "\"acme\"}},\"status_transitions\":{\"paid_at\":7}}",
         "{\"parent\":\"sub_1\",\"tenant\":\"acme\",\"rank\":3}",
         "{\"tax_minor\":3,\"paid_at\":7}"},
        {"invoice.paid",
         "{\"id\":\"in_1\",\"customer\":{\"id\":\"cus_1\"},\"status\":\"paid\",\"currency\":"
         "\"jpy\","
         "\"parent\":{\"subscription_details\":{\"subscription\":\"sub_1\",\"metadata\":{"
         "\"tenant\":\"acme\"}}},\"total_taxes\":[{\"amount\":1},{\"amount\":2}]}",
         "{\"parent\":\"sub_1\",\"tenant\":\"acme\",\"rank\":3,\"customer\":\"cus_1\"}",
         "{\"tax_minor\":3}"},
        {"charge.succeeded",
         "{\"id\":\"ch_1\",\"customer\":\"cus_1\",\"payment_intent\":\"pi_1\",\"invoice\":\"in_1\","
         "\"amount\":5,\"amount_captured\":5,\"amount_refunded\":2,\"status\":\"succeeded\"}",
         "{\"group\":\"pi_1\",\"parent\":\"in_1\"}", "{\"amount_minor\":5,\"refunded_minor\":2}"},
        {"charge.failed",
         "{\"id\":\"ch_1\",\"amount\":5,\"amount_captured\":0,\"status\":\"failed\"}",
         "{\"group\":\"ch_1\",\"parent\":null,\"customer\":null}", "{\"amount_minor\":5}"},
        {"invoice_payment.paid",
         "{\"id\":\"inpay_1\",\"invoice\":\"in_1\",\"amount_paid\":5,\"status\":\"paid\","
         "\"payment\":{"
         "\"type\":\"payment_intent\",\"payment_intent\":\"pi_1\"}}",
         "{\"group\":\"pi_1\",\"parent\":\"in_1\"}", "{\"amount_minor\":5}"},
        {"refund.created",
         "{\"id\":\"re_1\",\"charge\":\"ch_1\",\"payment_intent\":null,\"amount\":2,"
         "\"status\":\"succeeded\"}",
         "{\"group\":\"ch_1\"}", "{\"amount_minor\":2}"},
        {"payment_intent.payment_failed",
         "{\"id\":\"pi_1\",\"amount\":5,\"status\":\"requires_payment_method\","
         "\"last_payment_error\":{\"code\":\"card_declined\",\"decline_code\":\"lost_card\"}}",
         "{\"group\":\"pi_1\"}", "{\"failure_code\":\"lost_card\"}"},
        {"checkout.session.completed",
         "{\"id\":\"cs_1\",\"customer\":\"cus_1\",\"client_reference_id\":\"acme\","
         "\"subscription\":"
         "\"sub_1\",\"status\":\"complete\",\"payment_status\":\"paid\"}",
         "{\"tenant\":\"acme\",\"parent\":\"sub_1\"}", "{\"payment_status\":\"paid\"}"},
        {"invoice.upcoming", "{\"customer\":\"cus_1\",\"amount_due\":5}",
         "{\"object\":\"evt_1\",\"kind\":\"note\",\"customer\":\"cus_1\"}", "{\"amount_due\":5}"},
        {"customer.deleted", "{\"id\":\"cus_1\",\"metadata\":{\"tenant\":\"acme\"}}",
         "{\"final\":true,\"customer\":\"cus_1\",\"tenant\":\"acme\"}", "{}"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        json_t *o = observe(ROWS[i].type, ROWS[i].object, NULL);
        assert_non_null(o);
        must_say(o, ROWS[i].wanted);
        must_say(json_object_get(o, "facts"), ROWS[i].facts);
        json_decref(o);
    }
}

static void test_kinds(void **state)
{
    (void)state;
    assert_ptr_equal(object_kind_of("customer.updated"), &CUSTOMER_KIND);
    assert_ptr_equal(object_kind_of("v1.invoice.paid"), &INVOICE_KIND);
    assert_ptr_equal(object_kind_of("invoice.upcoming"), &NOTE_KIND);
    assert_ptr_equal(object_kind_of("charge.refund.updated"), &REFUND_KIND);
    assert_ptr_equal(object_kind_of("invoiceitem.created"), &INVOICE_ITEM_KIND);
    assert_ptr_equal(object_kind_of("subscription_schedule.released"), &SCHEDULE_KIND);
    const char *const NONE[] = {"customer.tax_id.created",
                                "customer.",
                                "invoice",
                                "",
                                "v1.billing.meter.error_report_triggered",
                                "invoiceitem."};
    for (size_t i = 0; i < sizeof NONE / sizeof *NONE; i++)
        assert_null(object_kind_of(NONE[i]));
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
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        assert_null(observe("customer.subscription.updated", ROWS[i], NULL));
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
        cmocka_unit_test(test_events_accepted),
        cmocka_unit_test(test_events_refused),
        cmocka_unit_test(test_prior_object),
        cmocka_unit_test(test_subscription_shapes),
        cmocka_unit_test(test_a_key_that_moved),
        cmocka_unit_test(test_the_state_before),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_invoices_and_payments),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_subscriptions_refused),
        cmocka_unit_test(test_tenants),
        cmocka_unit_test(test_meter_reports),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
