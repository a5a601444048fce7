/* Keys of callers, and how many events each may send. */
#include "emitter/daemon/access.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ACME "key-of-acme-12345"
#define ALL  "key-of-all-tenants"

static void keys_are_pairs(void **state)
{
    static const char *const GOOD[] = {"", ACME "=acme", ACME "=acme," ALL "=*", ACME "=a=b"};
    static const char *const BAD[] = {
        ACME, ACME "=", "short=acme", "key with blanks 1=acme", ACME "=acme,,", ",", "=acme"};
    struct err e;
    (void)state;
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
        assert_int_equal(access_check_keys(GOOD[i], &e), 0);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_int_equal(access_check_keys(BAD[i], &e), -1);
}

static void a_key_is_for_its_tenant(void **state)
{
    struct access *a = access_new(0);
    struct caller c;
    (void)state;
    assert_true(access_find(a, NULL, NULL, &c));
    access_set_keys(a, ACME "=acme," ALL "=*");
    assert_true(access_find(a, "bearer " ACME, NULL, &c));
    assert_true(slice_equals(c.tenant, (struct slice){"acme", 4}));
    assert_true(access_find(a, NULL, ALL, &c));
    assert_int_equal(c.tenant.length, 0);
    assert_false(access_find(a, NULL, NULL, &c));
    assert_false(access_find(a, "Basic " ACME, NULL, &c));
    assert_false(access_find(a, NULL, ACME "x", &c));
    access_set_keys(a, ALL "=other");
    assert_false(access_find(a, NULL, ACME, &c));
    assert_true(access_find(a, NULL, ALL, &c));
    access_set_keys(a, NULL);
    assert_true(access_find(a, NULL, NULL, &c));
    access_free(a);
}

static void a_rate_is_kept_on_average(void **state)
{
    struct access *a = access_new(100);
    struct caller c;
    int64_t now_ms = 1000000;
    (void)state;
    access_find(a, NULL, NULL, &c);
    assert_int_equal(access_wait_s(a, &c, now_ms), 0);
    access_spend(a, &c, 350);
    assert_int_equal(access_wait_s(a, &c, now_ms), 3);
    assert_int_equal(access_wait_s(a, &c, now_ms + 2500), 1);
    assert_int_equal(access_wait_s(a, &c, now_ms + 2510), 0);
    /* A long rest saves no more than a second's. */
    assert_int_equal(access_wait_s(a, &c, now_ms + 3600000), 0);
    access_spend(a, &c, 100);
    assert_int_equal(access_wait_s(a, &c, now_ms + 3600000), 1);
    access_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_pairs),
        cmocka_unit_test(a_key_is_for_its_tenant),
        cmocka_unit_test(a_rate_is_kept_on_average),
    };
    return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
