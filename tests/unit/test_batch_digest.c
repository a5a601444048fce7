/* The digest of a batch is the same of what is sent and of what is stored, and another one of
 * anything else. */
#include "common/batch_digest.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct batch_digest_slice SLICE = {.slice = 3,
                                                .events = 2,
                                                .catalog_version = 1,
                                                .occurred_min_us = -5,
                                                .occurred_max_us = 7,
                                                .entry_first_ms = 8,
                                                .entry_last_ms = 9};

struct digest {
    unsigned char bytes[BATCH_DIGEST_SIZE];
};

static struct digest digest_of_array(const struct batch_digest_slice *slice,
                                     const struct pg_array *a)
{
    struct batch_digest d;
    struct digest out = {0};
    batch_digest_init(&d);
    batch_digest_add_slice(&d, slice);
    batch_digest_add_array(&d, a);
    batch_digest_final(&d, out.bytes);
    return out;
}

static struct digest digest_of_field(const void *field, size_t length)
{
    struct batch_digest d;
    struct digest out = {0};
    batch_digest_init(&d);
    batch_digest_add_slice(&d, &SLICE);
    batch_digest_add_field(&d, field, length);
    batch_digest_final(&d, out.bytes);
    return out;
}

static void assert_same(struct digest a, struct digest b)
{
    assert_memory_equal(a.bytes, b.bytes, sizeof a.bytes);
}

static void assert_other(struct digest a, struct digest b)
{
    assert_memory_not_equal(a.bytes, b.bytes, sizeof a.bytes);
}

static void fill(struct pg_array *a, const char *first, const char *second)
{
    pg_array_init(a, PG_TEXT);
    pg_array_add_text(a, first);
    if (second)
        pg_array_add_text(a, second);
    else
        pg_array_add_null(a);
}

static void a_stored_array_has_the_digest_of_the_one_that_was_sent(void **state)
{
    /* As PostgreSQL sends it back: the header says whether there are NULLs in its own way. */
    (void)state;
    struct pg_array a;
    struct pg_statement s;
    fill(&a, "acme", NULL);
    struct digest sent = digest_of_array(&SLICE, &a);
    pg_statement_init(&s, "select $1");
    pg_add_array(&s, &a);
    assert_same(sent, digest_of_field(s.values[0], (size_t)s.lengths[0]));
    a.bytes.data[7] = 0;
    assert_same(sent, digest_of_field(a.bytes.data, a.bytes.length));
    pg_array_done(&a);
}

static void whatever_is_altered_gives_another_digest(void **state)
{
    /* Elements, where one ends and the next begins, their order, NULL, and what stands beside. */
    (void)state;
    static const char *const OTHERS[][2] = {
        {"acme", "zeN"}, {"acmez", "en"}, {"zen", "acme"}, {"acme", NULL}, {"acme", ""}};
    struct pg_array a;
    struct pg_array b;
    fill(&a, "acme", "zen");
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++) {
        fill(&b, OTHERS[i][0], OTHERS[i][1]);
        assert_other(digest_of_array(&SLICE, &a), digest_of_array(&SLICE, &b));
        pg_array_done(&b);
    }
    const struct batch_digest_slice slices[] = {{4, 2, 1, -5, 7, 8, 9}, {3, 1, 1, -5, 7, 8, 9},
                                                {3, 2, 2, -5, 7, 8, 9}, {3, 2, 1, -4, 7, 8, 9},
                                                {3, 2, 1, -5, 8, 8, 9}, {3, 2, 1, -5, 7, 7, 9},
                                                {3, 2, 1, -5, 7, 8, 8}};
    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++)
        assert_other(digest_of_array(&SLICE, &a), digest_of_array(&slices[i], &a));
    pg_array_done(&a);
}

static void no_array_is_none_that_is_empty(void **state)
{
    (void)state;
    static const unsigned char EMPTY[12] = {0};
    struct pg_array a;
    pg_array_init(&a, PG_TEXT);
    assert_same(digest_of_array(&SLICE, NULL), digest_of_field(NULL, 0));
    assert_same(digest_of_array(&SLICE, &a), digest_of_field(EMPTY, sizeof EMPTY));
    assert_other(digest_of_array(&SLICE, NULL), digest_of_array(&SLICE, &a));
    assert_other(digest_of_field("strange", 7), digest_of_field(EMPTY, sizeof EMPTY));
    pg_array_done(&a);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stored_array_has_the_digest_of_the_one_that_was_sent),
        cmocka_unit_test(whatever_is_altered_gives_another_digest),
        cmocka_unit_test(no_array_is_none_that_is_empty),
    };
    if (sodium_init() < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
