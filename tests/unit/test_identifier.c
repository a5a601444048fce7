/* The identifier of a submission. */
#include "sink/identifier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void the_same_claim_has_the_same_identifier_for_ever(void **state)
{
    /* It must survive a restore and a new version of the program: a fixed value, made with Python's
     * hashlib.blake2b(struct.pack('>I', 5) + b'cus_9' + struct.pack('>I', 10) + b'llm_tokens' +
     * struct.pack('>QQ', 1793491200, 7), digest_size=32). */
    (void)state;
    char id[IDENTIFIER_SIZE];
    identifier_make(&(struct identifier_parts){"cus_9", "llm_tokens", 1793491200, 7, 0}, id);
    assert_string_equal(id, "ml-"
                            "0c0fa505310af31d2989195262a87e4be70d43c57580a1bb51a25643e39e090f");
    assert_int_equal(strlen(id), IDENTIFIER_SIZE - 1);
    assert_true(strlen(id) <= 100);
    /* In era 3, with struct.pack('>Q', 3) behind it all. */
    identifier_make(&(struct identifier_parts){"cus_9", "llm_tokens", 1793491200, 7, 3}, id);
    assert_string_equal(id, "ml-"
                            "a9665e499d492f0f222bffd506ac524993ad8c8f86e52cf5b631a6a7139bdb3b");
}

static void every_part_counts(void **state)
{
    /* Another customer, meter, period, claim or era is another identifier, however they are cut. */
    (void)state;
    static const struct identifier_parts PARTS[] = {
        {"cus_1", "tokens", 0, 1, 0},   {"cus_2", "tokens", 0, 1, 0}, {"cus_1", "calls", 0, 1, 0},
        {"cus_1", "tokens", 60, 1, 0},  {"cus_1", "tokens", 0, 2, 0}, {"cus_1t", "okens", 0, 1, 0},
        {"cus_", "1tokens", 0, 1, 0},   {"", "cus_1tokens", 0, 1, 0}, {"cus_1tokens", "", 0, 1, 0},
        {"cus_1", "tokens", -60, 1, 0}, {"cus_1", "tokens", 1, 0, 0}, {"cus_1", "tokens", 0, 1, 1},
        {"cus_1", "tokens", 0, 1, 2},   {"cus_1", "tokens", 1, 0, 1},
    };
    enum { N = sizeof PARTS / sizeof *PARTS };
    char ids[N][IDENTIFIER_SIZE];
    for (int i = 0; i < N; i++) {
        identifier_make(&PARTS[i], ids[i]);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(ids[i], ids[k]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_claim_has_the_same_identifier_for_ever),
        cmocka_unit_test(every_part_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
