/* What a value looks like in a table on a terminal. */
#include "ctl/terminal/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void assert_value(json_t *value, const char *wanted)
{
    struct buf out = {0};

    cell_add_value(&out, value);
    assert_string_equal(out.data, wanted);
    buf_done(&out);
    json_decref(value);
}

static void a_value_is_text_without_what_leads_terminals_astray(void **state)
{
    (void)state;
    assert_value(json_string("acme"), "acme");
    assert_value(json_string(""), "-");
    assert_value(json_null(), "-");
    assert_value(json_true(), "true");
    assert_value(json_false(), "false");
    assert_value(json_integer(-5), "-5");
    assert_value(json_string("a\033[31mb\tc\nd\x7f"), "a?[31mb?c?d?");
    assert_value(json_string("a\xc2\x80"
                             "b\xc2\x9f"
                             "c\xc2\xa0"),
                 "a?b?c\xc2\xa0");
    assert_value(json_string("Zo\xc3\xab \xe2\x82\xac"), "Zo\xc3\xab \xe2\x82\xac");
    struct buf out = {0};
    cell_add_value(&out, NULL);
    assert_string_equal(out.data, "-");
    buf_done(&out);
}

static void a_width_is_in_characters(void **state)
{
    (void)state;
    assert_int_equal(cell_width(""), 0);
    assert_int_equal(cell_width("acme"), 4);
    assert_int_equal(cell_width("Zo\xc3\xab\xe2\x82\xac"), 4);
    assert_int_equal(cell_width("a\xff"), 2);
}

static void assert_cut(const char *text, int width, enum cell_cut cut, const char *wanted)
{
    struct buf out = {0};

    cell_add_cut(&out, text, width, cut);
    assert_string_equal(out.data ? out.data : "", wanted);
    assert_true(cell_width(out.data ? out.data : "") <= width);
    buf_done(&out);
}

static void what_does_not_fit_is_cut_at_its_place(void **state)
{
    (void)state;
    assert_cut("acme", 4, CELL_MIDDLE, "acme");
    assert_cut("acmes", 4, CELL_MIDDLE, "ac…s");
    assert_cut("acmes", 4, CELL_END, "acm…");
    assert_cut("ml-0123456789abcdef", 9, CELL_MIDDLE, "ml-0…cdef");
    assert_cut("ml-0123456789abcdef", 3, CELL_MIDDLE, "m…f");
    assert_cut("ml-0123456789abcdef", 3, CELL_END, "ml…");
    assert_cut("äöüßéè", 5, CELL_MIDDLE, "äö…éè");
    assert_cut("äöüßéè", 3, CELL_END, "äö…");
    assert_cut("", 3, CELL_END, "");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_text_without_what_leads_terminals_astray),
        cmocka_unit_test(a_width_is_in_characters),
        cmocka_unit_test(what_does_not_fit_is_cut_at_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
