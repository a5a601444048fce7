/* Which ids read like those that entries have by default, and what an entry says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "aggregator/batch/event_id.h"
#include "aggregator/stream/entries.h"

static void just_as_it_would_be_made(void **state)
{
    /* In a stream of any number of shards; no other text names an entry. */
    (void)state;
    const struct text names[] = {
        TEXT("usage:events/0-0"),
        TEXT("usage:events/1795000000000-12"),
        TEXT("usage:events:{0}/1795000000000-0"),
        TEXT("usage:events:{127}/18446744073709551615-18446744073709551615"),
    };
    const struct text others[] = {
        TEXT(""),
        TEXT("x"),
        TEXT("usage:events"),
        TEXT("usage:events/"),
        TEXT("usage:events/1"),
        TEXT("usage:events/1-"),
        TEXT("usage:events/-1"),
        TEXT("usage:events/01-0"),
        TEXT("usage:events/1-00"),
        TEXT("usage:events/1795000000000-012345678"),
        TEXT("usage:events/1-0 "),
        TEXT("usage:events/1-0-0"),
        TEXT("usage:events/18446744073709551616-0"),
        TEXT("usage:event/1-0"),
        TEXT("Usage:events/1-0"),
        TEXT("usage:events:{}/1-0"),
        TEXT("usage:events:{00}/1-0"),
        TEXT("usage:events:{1/1-0"),
        TEXT("usage:events:{x}/1-0"),
        TEXT("usage:events:{1}1-0"),
        TEXT("4f1c0000-8b86-d011-b42d-00c04fc964ff"),
    };

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(event_id_domain(names[i]), ID_DEFAULT);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (event_id_domain(others[i]) != ID_GIVEN)
            fail_msg("%s", others[i].data);
}

static int64_t content_of(const struct text *strings, int count)
{
    struct entries entries = {.count = 0};
    int64_t content;

    entries_add(&entries, 1, 0);
    for (int i = 0; i < count; i += 2)
        entries_add_field(&entries, strings[i], strings[i + 1]);
    content = entry_content(&entries, 0);
    entries_done(&entries);
    return content;
}

static void contents_differ_however_texts_are_cut(void **state)
{
    (void)state;
    const struct text entries[][4] = {
        {TEXT("ab"), TEXT("c"), TEXT("d"), TEXT("e")},
        {TEXT("a"), TEXT("bc"), TEXT("d"), TEXT("e")},
        {TEXT("d"), TEXT("e"), TEXT("ab"), TEXT("c")},
        {TEXT("ab"), TEXT("c"), TEXT("d"), TEXT("")},
        {TEXT("ab"), TEXT("c"), TEXT(""), TEXT("")},
        {TEXT("ab"), TEXT("c"), TEXT("d"), TEXT("f")},
    };
    enum { N = sizeof entries / sizeof *entries };

    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++)
            assert_int_equal(content_of(entries[i], 4) == content_of(entries[k], 4), i == k);
    assert_int_not_equal(content_of(entries[0], 2), content_of(entries[4], 4));
}

static void the_content_of_an_entry_never_changes(void **state)
{
    /* The ledger keeps it: what a later version computes must be the same. */
    (void)state;
    const struct text entry[] = {TEXT("tenant"), TEXT("acme"), TEXT("metric"), TEXT("tokens")};

    assert_int_equal(content_of(entry, 4), INT64_C(5073902593100983189));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(just_as_it_would_be_made),
        cmocka_unit_test(contents_differ_however_texts_are_cut),
        cmocka_unit_test(the_content_of_an_entry_never_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
