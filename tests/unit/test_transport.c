/* What the transports have in common: names, paths, headers, keys. */
#include "sink/transport/transport.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void transports_are_found_by_their_name_in_the_catalog(void **state)
{
    /* Each at its own place; those that this build does not have are left alone. */
    (void)state;
    for (int i = 0; i < TRANSPORT_COUNT; i++) {
        assert_int_equal(transport_index(TRANSPORTS[i]->name), i);
        assert_ptr_equal(transport_find(TRANSPORTS[i]->name), TRANSPORTS[i]);
    }
    assert_null(TRANSPORTS[TRANSPORT_COUNT]);
    assert_null(transport_find("none"));
    assert_int_equal(transport_index(""), -1);
}

static void a_call_is_filled_to_the_hundredth(void **state)
{
    /* As many submissions as fit cost one call exactly, whatever the transport. */
    (void)state;
    for (int i = 0; i < TRANSPORT_COUNT; i++)
        assert_int_equal(transport_cost(TRANSPORTS[i]) * TRANSPORTS[i]->batch_max,
                         TRANSPORT_CALL_COST);
}

static void check_path(const struct transport *t, const char *item, const char *expected)
{
    struct err e;
    struct buf path = {0};
    int failed = transport_path(t, item, &path, &e);
    assert_int_equal(failed, expected ? 0 : -1);
    if (expected)
        assert_string_equal(path.data, expected);
    else
        assert_int_equal(e.kind, ERR_INPUT);
    buf_done(&path);
}

static void only_an_id_of_stripes_gets_into_a_path(void **state)
{
    /* Nothing that would have to be escaped, or that would lead elsewhere. */
    (void)state;
    static const char *const REFUSED[] = {NULL,    "",       "si/1", "../charges",   "si_1?a=b",
                                          "si_1#", "si%2F1", "si 1", "si_1\r\nX: y", "si_\xc3\xa9",
                                          "si.1"};
    check_path(&TRANSPORT_METER_EVENTS, NULL, "/v1/billing/meter_events");
    check_path(&TRANSPORT_METER_EVENT_STREAM, "si_1", "/v2/billing/meter_event_stream");
    check_path(&TRANSPORT_USAGE_RECORDS, "si_Ab-9", "/v1/subscription_items/si_Ab-9/usage_records");
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++)
        check_path(&TRANSPORT_USAGE_RECORDS, REFUSED[i], NULL);
}

static void every_try_carries_key_version_and_type(void **state)
{
    /* Usage records have a version of their own, whatever STRIPE_API_VERSION says. */
    (void)state;
    static const struct {
        const struct transport *transport;
        const char *version;
        const char *type;
    } CASES[] = {
        {&TRANSPORT_METER_EVENTS, "2026-10-28.endive", "application/x-www-form-urlencoded"},
        {&TRANSPORT_METER_EVENT_STREAM, "2026-10-28.endive", "application/json"},
        {&TRANSPORT_USAGE_RECORDS, "2024-06-20", "application/x-www-form-urlencoded"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct http_header h[TRANSPORT_HEADERS];
        const struct http_header expected[] = {{"Authorization", "Bearer sk_test_1"},
                                               {"Stripe-Version", CASES[i].version},
                                               {"Idempotency-Key", "ml-0a"},
                                               {"Content-Type", CASES[i].type}};
        transport_headers(CASES[i].transport, "Bearer sk_test_1", "2026-10-28.endive", "ml-0a", h);
        for (int j = 0; j < 4; j++) {
            assert_string_equal(h[j].name, expected[j].name);
            assert_string_equal(h[j].value, expected[j].value);
        }
        assert_null(h[4].name);
    }
}

static void a_batch_has_the_key_of_its_bytes(void **state)
{
    /* The same bytes have the same one, others another; it fits what Stripe takes. */
    (void)state;
    char one[TRANSPORT_KEY_SIZE];
    char two[TRANSPORT_KEY_SIZE];
    transport_batch_key("{\"events\":[1]}", 14, one);
    transport_batch_key("{\"events\":[1]}", 14, two);
    assert_string_equal(one, two);
    assert_int_equal(strlen(one), TRANSPORT_KEY_SIZE - 1);
    assert_memory_equal(one, "ml-", 3);
    transport_batch_key("{\"events\":[2]}", 14, two);
    assert_string_not_equal(one, two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transports_are_found_by_their_name_in_the_catalog),
        cmocka_unit_test(a_call_is_filled_to_the_hundredth),
        cmocka_unit_test(only_an_id_of_stripes_gets_into_a_path),
        cmocka_unit_test(every_try_carries_key_version_and_type),
        cmocka_unit_test(a_batch_has_the_key_of_its_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
