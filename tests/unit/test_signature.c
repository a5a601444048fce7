/* Stripe-Signature: what gets in and what does not. The signatures were computed by Python's hmac
 * module. */
#include "webhookd/receive/signature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define AT    1700000000
#define BODY  "{\"id\":\"evt_1\"}"
#define NEW   "v1=c89214b5b5da833daed6f0b8c5bb6bd58cea9022bd80ccc78230f3942d632925"
#define OLD   "v1=ef1b1b7e4b312671a75ef2a03e10529f7834a6528a49db77ad6568c8c8017843"
#define WRONG "v1=0000000000000000000000000000000000000000000000000000000000000000"

static enum signature verify(const char *header, const char *secrets, int64_t now_s)
{
    return signature_verify(header, BODY, strlen(BODY), secrets, now_s);
}

static void test_accepted(void **state)
{
    (void)state;
    const struct {
        const char *header;
        const char *secrets;
        int64_t now_s;
    } ROWS[] = {
        {"t=1700000000," NEW, "whsec_test", AT},
        {NEW ",t=1700000000", "whsec_test", AT},
        /* Stripe signs with each active secret during a roll, and so may we hold several. */
        {"t=1700000000," OLD "," NEW, "whsec_test", AT},
        {"t=1700000000," WRONG "," NEW, "whsec_test", AT},
        {"t=1700000000," NEW, "whsec_old,whsec_test", AT},
        {"t=1700000000," OLD, "whsec_old,whsec_test", AT},
        /* Other schemes and unknown keys are passed over. */
        {"t=1700000000,v0=abc," NEW ",v2=,x", "whsec_test", AT},
        /* 300 s old is young enough, and the future is no fault. */
        {"t=1700000000," NEW, "whsec_test", AT + 300},
        {"t=1700000000," NEW, "whsec_test", AT - 100000},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        assert_int_equal(verify(ROWS[i].header, ROWS[i].secrets, ROWS[i].now_s), SIGNATURE_OK);
}

static void test_refused(void **state)
{
    (void)state;
    const struct {
        const char *header;
        const char *secrets;
        int64_t now_s;
        enum signature verdict;
    } ROWS[] = {
        {NULL, "whsec_test", AT, SIGNATURE_MISSING},
        {"", "whsec_test", AT, SIGNATURE_MALFORMED},
        {NEW, "whsec_test", AT, SIGNATURE_MALFORMED},
        {"t=1700000000", "whsec_test", AT, SIGNATURE_MALFORMED},
        {"t=," NEW, "whsec_test", AT, SIGNATURE_MALFORMED},
        {"t=-1700000000," NEW, "whsec_test", AT, SIGNATURE_MALFORMED},
        {"t=1700000000x," NEW, "whsec_test", AT, SIGNATURE_MALFORMED},
        {"t=99999999999999999999," NEW, "whsec_test", AT, SIGNATURE_MALFORMED},
        {"t=1700000000,v0=ab", "whsec_test", AT, SIGNATURE_MALFORMED},
        {"t=1700000000," WRONG, "whsec_test", AT, SIGNATURE_WRONG},
        {"t=1700000000,v1=", "whsec_test", AT, SIGNATURE_WRONG},
        {"t=1700000000," NEW "0", "whsec_test", AT, SIGNATURE_WRONG},
        {"t=1700000001," NEW, "whsec_test", AT, SIGNATURE_WRONG},
        {"t=1700000000," NEW, "whsec_tes", AT, SIGNATURE_WRONG},
        {"t=1700000000," NEW, "whsec_test ", AT, SIGNATURE_WRONG},
        {"t=1700000000," NEW, "whsec_old", AT, SIGNATURE_WRONG},
        {"t=1700000000," NEW, "test", AT, SIGNATURE_WRONG},
        {"t=1700000000," NEW, "whsec_test", AT + 301, SIGNATURE_OLD},
        /* Whether it is genuine comes first: a forger learns nothing of the clock. */
        {"t=1700000000," WRONG, "whsec_test", AT + 301, SIGNATURE_WRONG},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        assert_int_equal(verify(ROWS[i].header, ROWS[i].secrets, ROWS[i].now_s), ROWS[i].verdict);
}

/* The body counts as it came, byte for byte: empty, or not text at all, with a key of any length.
 */
static void test_bodies(void **state)
{
    (void)state;
    char key[201];
    memset(key, 'k', 200);
    key[200] = '\0';
    assert_int_equal(
        signature_verify(
            "t=1700000000,v1=5967f3c560522fa40cf2876ebc3c3a08551dd6959aaade3b413460591895bdcc", "",
            0, "whsec_test", AT),
        SIGNATURE_OK);
    assert_int_equal(
        signature_verify("t=1,v1=bfb0a9cb75fc58ddbbadbbcf27cd035d8176763b4db849f44f23010e663a13f4",
                         "\xff\x00"
                         "a",
                         3, key, 1),
        SIGNATURE_OK);
    assert_int_equal(
        signature_verify("t=1,v1=bfb0a9cb75fc58ddbbadbbcf27cd035d8176763b4db849f44f23010e663a13f4",
                         "\xff\x00"
                         "b",
                         3, key, 1),
        SIGNATURE_WRONG);
    assert_int_equal(
        signature_verify("t=1,v1=bfb0a9cb75fc58ddbbadbbcf27cd035d8176763b4db849f44f23010e663a13f4",
                         "\xff", 1, key, 1),
        SIGNATURE_WRONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
