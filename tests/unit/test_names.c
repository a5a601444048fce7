/* Names that somebody may have meant. */
#include "ctl/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void letters_that_differ_are_counted(void **state)
{
    static const struct {
        const char *a, *b;
        int most, wanted;
    } CASES[] = {
        {"acme", "acme", 3, 0},
        {"acme", "ACME", 3, 0},
        {"acme", "acm", 3, 1},
        {"acme", "amce", 3, 1},
        {"acme", "acne", 3, 1},
        {"acme", "xacme", 3, 1},
        {"ab", "ba", 0, 1},
        {"api_calls", "apicall", 3, 2},
        {"acme", "globex", 3, 4},
        {"", "abc", 3, 3},
        {"abc", "", 3, 3},
        {"", "", 3, 0},
        {"tenant-18", "tenant-81", 1, 1},
        {"kitten", "sitting", 3, 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        assert_int_equal(names_distance(CASES[i].a, CASES[i].b, CASES[i].most), CASES[i].wanted);
        assert_int_equal(names_distance(CASES[i].b, CASES[i].a, CASES[i].most), CASES[i].wanted);
    }
}

static void the_nearest_come_first(void **state)
{
    struct names_near n = {0};

    (void)state;
    names_add_near(&n, "tenant-1", "customer");
    assert_int_equal(n.count, 0);
    names_add_near(&n, "tenant-1", "tenant-999");
    names_add_near(&n, "tenant-1", "tenants-21");
    names_add_near(&n, "tenant-1", "tenant-21");
    names_add_near(&n, "tenant-1", "Tenant-1");
    names_add_near(&n, "tenant-1", "tenent-1");
    assert_int_equal(n.count, NAMES_SHOWN);
    assert_string_equal(n.names[0], "Tenant-1");
    assert_string_equal(n.names[1], "tenant-21");
    assert_string_equal(n.names[2], "tenent-1");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_that_differ_are_counted),
        cmocka_unit_test(the_nearest_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
