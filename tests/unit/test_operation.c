/* An idempotency key follows from what is asked for and what is sent, and from nothing else. */
#include "api/stripe/operation.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct operation SAME = {.tenant = "acme",
                                      .name = "create_customer",
                                      .request_digest = "d1",
                                      .path = "/v1/customers",
                                      .body = "email=a%40b.c",
                                      .attempt = 0};

static void key_of(struct operation o, char out[OPERATION_KEY_SIZE])
{
    operation_key(&o, out);
    assert_int_equal(strlen(out), OPERATION_KEY_SIZE - 1);
}

static void test_the_same_call_has_the_same_key(void **state)
{
    (void)state;
    char a[OPERATION_KEY_SIZE];
    char b[OPERATION_KEY_SIZE];
    key_of(SAME, a);
    key_of(SAME, b);
    assert_string_equal(a, b);
}

static void test_each_part_counts(void **state)
{
    (void)state;
    enum { N = 8 };
    char keys[N][OPERATION_KEY_SIZE];
    struct operation o[N];
    for (int i = 0; i < N; i++)
        o[i] = SAME;
    o[1].tenant = "acm";
    o[2].name = "create_customers";
    o[3].request_digest = "d2";
    o[4].path = "/v1/customer";
    o[5].body = "email=a%40b.d";
    o[6].attempt = 1;
    o[7].tenant = "acmec"; /* the border between two texts counts as well */
    o[7].name = "reate_customer";
    for (int i = 0; i < N; i++)
        key_of(o[i], keys[i]);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(keys[i], keys[k]);
}

static void test_a_repeated_request_has_the_same_digest(void **state)
{
    (void)state;
    char a[OPERATION_DIGEST_SIZE];
    char b[OPERATION_DIGEST_SIZE];
    operation_request_digest("acme", "POST /api/billing/customer", "request-1", a);
    operation_request_digest("acme", "POST /api/billing/customer", "request-1", b);
    assert_string_equal(a, b);
    operation_request_digest("acme", "POST /api/billing/customer", "request-2", b);
    assert_string_not_equal(a, b);
    operation_request_digest("globex", "POST /api/billing/customer", "request-1", b);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_call_has_the_same_key),
        cmocka_unit_test(test_each_part_counts),
        cmocka_unit_test(test_a_repeated_request_has_the_same_digest),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
