/* Whether a Redis may have lost keys, told from its INFO. */
#include "common/digests.h"
#include "common/redis/redis_stamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define INFO(run_id, role, expired, del, xadd)                                                     \
    "# Server\r\nredis_version:7.0.15\r\nrun_id:" run_id "\r\nuptime_in_seconds:7\r\n"             \
    "# Replication\r\nrole:" role "\r\n# Stats\r\nexpired_keys:" expired                           \
    "\r\nevicted_keys:0\r\n# Commandstats\r\n"                                                     \
    "cmdstat_del:calls=" del ",usec=5,usec_per_call=1.00,rejected_calls=0,failed_calls=0\r\n"      \
    "cmdstat_xadd:calls=" xadd ",usec=9,usec_per_call=1.00,rejected_calls=0,failed_calls=0\r\n"

static void it_stays_while_nothing_can_be_lost(void **state)
{
    (void)state;
    uint64_t first = redis_stamp_of(INFO("a", "master", "0", "1", "1"), REDIS_STAMP_ANY);
    assert_true(first != 0);
    assert_true(first == redis_stamp_of(INFO("a", "master", "0", "1", "9999"), REDIS_STAMP_ANY));
    assert_true(first != redis_stamp_of(INFO("b", "master", "0", "1", "1"), REDIS_STAMP_ANY));
    assert_true(first != redis_stamp_of(INFO("a", "slave", "0", "1", "1"), REDIS_STAMP_ANY));
    assert_true(first != redis_stamp_of(INFO("a", "master", "1", "1", "1"), REDIS_STAMP_ANY));
    assert_true(first != redis_stamp_of(INFO("a", "master", "0", "2", "1"), REDIS_STAMP_ANY));
}

static void what_may_have_cost_all_keys(void **state)
{
    static const char *const others[] = {
        "run_id:a\r\ncmdstat_flushall:calls=2,usec=1\r\n",
        "run_id:a\r\ncmdstat_flushall:calls=1,usec=1\r\ncmdstat_flushdb:calls=1,usec=1\r\n",
        "run_id:b\r\ncmdstat_flushall:calls=1,usec=1\r\n",
    };
    uint64_t first =
        redis_stamp_of("run_id:a\r\ncmdstat_flushall:calls=1,usec=1\r\n", REDIS_STAMP_EMPTIED);
    (void)state;
    assert_true(first == redis_stamp_of("run_id:a\r\nexpired_keys:7\r\nrole:slave\r\n"
                                        "cmdstat_flushall:calls=1,usec=9\r\n"
                                        "cmdstat_del:calls=1,usec=9\r\n",
                                        REDIS_STAMP_EMPTIED));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_true(first != redis_stamp_of(others[i], REDIS_STAMP_EMPTIED));
}

static void every_command_but_the_harmless_ones_counts(void **state)
{
    /* Also one that begins as a harmless one does, or has a part that is none. */
    (void)state;
    static const struct {
        const char *name;
        bool counts;
    } cases[] = {
        {"hset", false},         {"hmget", false},      {"config|get", false},
        {"xgroup|setid", false}, {"zscore", false},     {"acl|cat", false},
        {"unlink", true},        {"hdel", true},        {"flushall", true},
        {"rename", true},        {"set", true},         {"config|set", true},
        {"debug", true},         {"config", true},      {"hsets", true},
        {"hse", true},           {"client|kill", true}, {"a|new|command", true},
        {"replicaof", true},     {"zz", true},          {"expire", true},
        {"pexpire", true},       {"zrem", false},       {"zrangebylex", false},
    };
    static const char base[] = "run_id:a\r\ncmdstat_ping:calls=1,usec=1\r\n";
    uint64_t without = redis_stamp_of(base, REDIS_STAMP_ANY);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char info[200];
        snprintf(info, sizeof info, "%scmdstat_%s:calls=1,usec=1\r\n", base, cases[i].name);
        if ((redis_stamp_of(info, REDIS_STAMP_ANY) != without) != cases[i].counts)
            fail_msg("%s", cases[i].name);
    }
}

static void what_cannot_be_told_has_no_stamp(void **state)
{
    /* INFO may be cut down by another server or a proxy. */
    (void)state;
    assert_true(redis_stamp_of("", REDIS_STAMP_ANY) == 0);
    assert_true(redis_stamp_of("run_id:a\r\n", REDIS_STAMP_ANY) == 0);
    assert_true(redis_stamp_of("cmdstat_del:calls=1\r\n", REDIS_STAMP_ANY) == 0);
}

static void digests_tell_what_has_changed(void **state)
{
    (void)state;
    struct digests d;
    char name[24];
    digests_init(&d);
    for (int i = 0; i < 3000; i++) {
        int length = snprintf(name, sizeof name, "tenant %d", i);
        uint64_t key = digests_of(&d, name, (size_t)length);
        assert_false(digests_know(&d, key, (uint64_t)i));
        digests_note(&d, key, (uint64_t)i);
        digests_note(&d, key, (uint64_t)i + 1);
        assert_false(digests_know(&d, key, (uint64_t)i));
    }
    assert_int_equal(d.n, 3000);
    for (int i = 0; i < 3000; i++) {
        int length = snprintf(name, sizeof name, "tenant %d", i);
        assert_true(digests_know(&d, digests_of(&d, name, (size_t)length), (uint64_t)i + 1));
    }
    digests_clear(&d);
    assert_false(digests_know(&d, 1, 1));
    digests_done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_stays_while_nothing_can_be_lost),
        cmocka_unit_test(what_may_have_cost_all_keys),
        cmocka_unit_test(every_command_but_the_harmless_ones_counts),
        cmocka_unit_test(what_cannot_be_told_has_no_stamp),
        cmocka_unit_test(digests_tell_what_has_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
