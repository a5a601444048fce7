/* Errors: kinds, texts and context. */
#include "common/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void kinds_have_names_and_texts(void **state)
{
    /* Every kind's name is its identifier in lower case, and its text is not empty. */
    (void)state;
    static const struct {
        enum err_kind kind;
        const char *identifier;
    } kinds[] = {
#define X(kind, name, text) {kind, #kind},
        ERR_KINDS(X)
#undef X
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        assert_int_equal(strcasecmp(err_kind_name(kinds[i].kind), kinds[i].identifier + 4), 0);
        assert_true(strlen(err_kind_text(kinds[i].kind)) > 0);
    }
    assert_string_equal(err_kind_name(ERR_TIMEOUT), "timeout");
    assert_string_equal(err_kind_text(ERR_TIMEOUT), "no answer in time");
}

static void numbers_without_a_kind_have_a_name(void **state)
{
    /* A number that is no kind still gives a text for the log. */
    (void)state;
    assert_string_equal(err_kind_name((enum err_kind)99), "unknown");
    assert_string_equal(err_kind_text((enum err_kind)99), "unknown error");
}

static void set_fills_and_returns_minus_one(void **state)
{
    /* err_set replaces all that was there and returns -1. */
    (void)state;
    struct err e = {.kind = ERR_TLS, .retry = true, .code = 7, .sqlstate = "40001", .text = "old"};
    assert_int_equal(err_set(&e, ERR_INPUT, "line %d: %s", 3, "no tenant"), -1);
    assert_int_equal(e.kind, ERR_INPUT);
    assert_false(e.retry);
    assert_int_equal(e.code, 0);
    assert_string_equal(e.sqlstate, "");
    assert_string_equal(e.text, "line 3: no tenant");
}

static void only_passing_kinds_may_be_retried(void **state)
{
    /* Timeout, connect and closed pass by themselves; no other kind does. */
    (void)state;
    for (int kind = ERR_NONE; kind <= ERR_IO; kind++) {
        struct err e;
        err_set(&e, (enum err_kind)kind, "x");
        assert_int_equal(e.retry, kind == ERR_TIMEOUT || kind == ERR_CONNECT || kind == ERR_CLOSED);
    }
}

static void wrap_puts_context_in_front(void **state)
{
    /* err_wrap changes the text alone, and contexts add up from the inside out. */
    (void)state;
    struct err e;
    err_set(&e, ERR_CONNECT, "refused");
    e.code = ECONNREFUSED;
    assert_int_equal(err_wrap(&e, "port %d", 5432), -1);
    assert_int_equal(err_wrap(&e, "open postgres"), -1);
    assert_string_equal(e.text, "open postgres: port 5432: refused");
    assert_int_equal(e.kind, ERR_CONNECT);
    assert_int_equal(e.code, ECONNREFUSED);
    assert_true(e.retry);
}

static void long_texts_are_cut(void **state)
{
    /* A text never outgrows its field: what is too long is cut at the end. */
    (void)state;
    struct err e;
    char longer[300];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    err_set(&e, ERR_IO, "%s", longer);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    err_wrap(&e, "context");
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    assert_memory_equal(e.text, "context: aaa", 12);
    err_wrap(&e, "%s", longer);
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    assert_null(strchr(e.text, ':'));
}

static void arguments_may_be_the_text_itself(void **state)
{
    /* An err may be built from its own text. */
    (void)state;
    struct err e;
    err_set(&e, ERR_IO, "disk full");
    err_set(&e, ERR_CLOSED, "lost after: %s", e.text);
    assert_string_equal(e.text, "lost after: disk full");
    err_wrap(&e, "(%s)", e.text);
    assert_string_equal(e.text, "(lost after: disk full): lost after: disk full");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_have_names_and_texts),
        cmocka_unit_test(numbers_without_a_kind_have_a_name),
        cmocka_unit_test(set_fills_and_returns_minus_one),
        cmocka_unit_test(only_passing_kinds_may_be_retried),
        cmocka_unit_test(wrap_puts_context_in_front),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(arguments_may_be_the_text_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
