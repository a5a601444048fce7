/* The signature of a POST is Stripe's scheme, to the letter. */
#include "notifier/post/post_signature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void it_is_hmac_sha256_of_time_and_body(void **state)
{
    /* By Python: hmac.new(key, b"1700000000." + body, "sha256").hexdigest() */
    static const struct {
        const char *secret;
        const char *body;
        const char *expected;
    } CASES[] = {
        {"whsec_test", "{}",
         "t=1700000000,v1=35495024f4ef3f94e5a93e22221544c4b75e9a42300cd965ab81cb85cd994e91"},
        {"", "",
         "t=1700000000,v1=c1da1b6c6b8e9da7f4bbb90f7cab0820f271ad19ccbf80c88479c4e14f37d1c6"},
        {"a secret that is longer than a block of sha256, which has sixty-four bytes, and hashed",
         "{\"data\":\"Grüße\"}",
         "t=1700000000,v1=49732dbd3e04eb5052ac047016e2fe3ee1ee8d56e9199aad6cf27fa459e548a6"},
    };
    char out[POST_SIGNATURE_SIZE];
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        post_signature(CASES[i].secret, 1700000000, CASES[i].body, strlen(CASES[i].body), out);
        assert_string_equal(out, CASES[i].expected);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_hmac_sha256_of_time_and_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
