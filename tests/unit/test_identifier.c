/* The identifier of a submission. */
#include "common/stripe/identifier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void the_same_claim_has_the_same_identifier_for_ever(void **state)
{
    /* It must survive a restore and a new version of the program: a fixed value, made with Python's
     * hashlib.blake2b(b''.join(struct.pack('>I', len(t)) + t for t in (b'cus_9', b'llm_tokens',
     * b'acme', b'tokens')) + struct.pack('>QQ', 1793491200, 7), digest_size=32). */
    (void)state;
    char id[IDENTIFIER_SIZE];
    struct identifier_parts parts = {"cus_9", "llm_tokens", "acme", "tokens", 1793491200, 7, 0};
    identifier_make(&parts, id);
    assert_string_equal(id, "ml-"
                            "92ade6a6bd29698b711824857a4605a9eb11e1c0c6746911e5a314bcad7642e7");
    assert_int_equal(strlen(id), IDENTIFIER_SIZE - 1);
    assert_true(strlen(id) <= 100);
    /* In era 3, with struct.pack('>Q', 3) behind it all. */
    parts.era = 3;
    identifier_make(&parts, id);
    assert_string_equal(id, "ml-"
                            "75083cce1814cf1f34788b36bacab67a9ab78c05e14dc15f0d171da0e538a278");
}

static void every_part_counts(void **state)
{
    /* Another one in any part is another identifier, however they are cut. */
    (void)state;
    static const struct identifier_parts PARTS[] = {
        {"cus_1", "tokens", "t", "m", 0, 1, 0}, {"cus_2", "tokens", "t", "m", 0, 1, 0},
        {"cus_1", "calls", "t", "m", 0, 1, 0},  {"cus_1", "tokens", "t", "m", 60, 1, 0},
        {"cus_1", "tokens", "t", "m", 0, 2, 0}, {"cus_1t", "okens", "t", "m", 0, 1, 0},
        {"cus_", "1tokens", "t", "m", 0, 1, 0}, {"", "cus_1tokens", "t", "m", 0, 1, 0},
        {"cus_1tokens", "", "t", "m", 0, 1, 0}, {"cus_1", "tokens", "t", "m", -60, 1, 0},
        {"cus_1", "tokens", "t", "m", 1, 0, 0}, {"cus_1", "tokens", "t", "m", 0, 1, 1},
        {"cus_1", "tokens", "t", "m", 0, 1, 2}, {"cus_1", "tokens", "t", "m", 1, 0, 1},
        {"cus_1", "tokens", "u", "m", 0, 1, 0}, {"cus_1", "tokens", "t", "n", 0, 1, 0},
        {"cus_1", "tokens", "tm", "", 0, 1, 0}, {"cus_1", "tokens", "m", "t", 0, 1, 0},
    };
    enum { N = sizeof PARTS / sizeof *PARTS };
    char ids[N][IDENTIFIER_SIZE];
    for (int i = 0; i < N; i++) {
        identifier_make(&PARTS[i], ids[i]);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(ids[i], ids[k]);
    }
}

static void check_key(int64_t spent_keys, const char *expected)
{
    struct buf key = {0};
    identifier_key("ml-0a", spent_keys, &key);
    assert_string_equal(key.data, expected);
    assert_int_equal(identifier_length_in_key(key.data), 5);
    buf_done(&key);
}

static void a_spent_key_is_followed_by_another_of_the_same_identifier(void **state)
{
    /* The first is the identifier itself; each tells whose it is. */
    (void)state;
    check_key(0, "ml-0a");
    check_key(1, "ml-0a.1");
    check_key(12, "ml-0a.12");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_claim_has_the_same_identifier_for_ever),
        cmocka_unit_test(a_spent_key_is_followed_by_another_of_the_same_identifier),
        cmocka_unit_test(every_part_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
