/* Closing a thing that has parts: it is released once, by the last part, whatever their order. */
#include "common/closing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include <cmocka.h>

enum { PARTS = 3 };

struct thing {
    struct closing closing;
    uv_timer_t timer;
    uv_timer_t second;
    struct closing *parts[PARTS]; /* closed by the test */
};

static char told[8]; /* 'r': released, 'c': the owner was told */

static void tell(char what)
{
    size_t length = strlen(told);
    assert_true(length < sizeof told - 1);
    told[length] = what;
    told[length + 1] = '\0';
}

static void release(void *self)
{
    tell('r');
    free(self); /* the struct closing with it: ASan would tell of a later use */
}

static void on_closed(void *owner)
{
    assert_ptr_equal(owner, told);
    tell('c');
}

static struct thing *begin(void (*closed)(void *owner))
{
    struct thing *t = calloc(1, sizeof *t);
    told[0] = '\0';
    assert_false(closing_has_begun(&t->closing));
    closing_begin(&t->closing, t, release, closed, told);
    assert_true(closing_has_begun(&t->closing));
    return t;
}

static void without_parts_it_ends_at_once(void **state)
{
    (void)state;
    struct thing *t = begin(on_closed);
    assert_string_equal(told, "");
    closing_end(&t->closing);
    assert_string_equal(told, "rc");
}

static void nobody_has_to_ask(void **state)
{
    /* closed == NULL: the thing is released, and nobody told. */
    (void)state;
    struct thing *t = begin(NULL);
    closing_end(&t->closing);
    assert_string_equal(told, "r");
}

static void parts_may_close_in_any_order(void **state)
{
    /* The owner is told after the last one, not before. */
    (void)state;
    static const int ORDERS[][PARTS] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                        {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (size_t k = 0; k < sizeof ORDERS / sizeof ORDERS[0]; k++) {
        struct thing *t = begin(on_closed);
        for (int i = 0; i < PARTS; i++)
            t->parts[i] = closing_part(&t->closing);
        closing_end(&t->closing);
        for (int i = 0; i < PARTS; i++) {
            assert_string_equal(told, "");
            closing_part_closed(t->parts[ORDERS[k][i]]);
        }
        assert_string_equal(told, "rc");
    }
}

static void a_part_may_close_before_the_next_is_named(void **state)
{
    /* Such a one must not free what the others still use. */
    (void)state;
    struct thing *t = begin(on_closed);
    closing_part_closed(closing_part(&t->closing));
    assert_string_equal(told, "");
    assert_true(closing_has_begun(&t->closing));
    t->parts[0] = closing_part(&t->closing);
    closing_part_closed(closing_part(&t->closing));
    closing_part_closed(t->parts[0]);
    assert_string_equal(told, "");
    closing_end(&t->closing);
    assert_string_equal(told, "rc");
}

static void handles_close_from_the_loop(void **state)
{
    /* Beside a part that outlives them, and one that does not. */
    (void)state;
    for (int late = 0; late <= 1; late++) {
        uv_loop_t loop;
        assert_int_equal(uv_loop_init(&loop), 0);
        struct thing *t = begin(on_closed);
        uv_timer_init(&loop, &t->timer);
        uv_timer_init(&loop, &t->second);
        closing_handle(&t->closing, &t->timer);
        t->parts[0] = closing_part(&t->closing);
        closing_handle(&t->closing, &t->second);
        closing_end(&t->closing);
        if (!late)
            closing_part_closed(t->parts[0]);
        assert_string_equal(told, "");
        uv_run(&loop, UV_RUN_DEFAULT);
        if (late) {
            assert_string_equal(told, "");
            closing_part_closed(t->parts[0]);
        }
        assert_string_equal(told, "rc");
        assert_int_equal(uv_loop_close(&loop), 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_parts_it_ends_at_once),
        cmocka_unit_test(nobody_has_to_ask),
        cmocka_unit_test(parts_may_close_in_any_order),
        cmocka_unit_test(a_part_may_close_before_the_next_is_named),
        cmocka_unit_test(handles_close_from_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
