/* libmeterline: which events it takes, what it says of the others, and what it does without Redis.
 */
#include "emitter/library/meterline.h"

#include "common/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY "redis://127.0.0.1:1"

static struct meterline *open_library(void)
{
    struct meterline *m = meterline_open(METERLINE_OPTIONS(.redis_url = NOBODY));
    if (!m)
        fail_msg("%s", meterline_error());
    return m;
}

static void events_are_taken_without_redis(void **state)
{
    struct meterline *m = open_library();
    static const struct meterline_dimension DIMENSIONS[] = {{"model", "large"}, {"region", "eu"}};
    struct meterline_stats stats = {.size = sizeof stats};
    (void)state;
    assert_int_equal(meterline_emit(m, METERLINE_EVENT(.tenant = "acme", .metric = "api_calls")),
                     METERLINE_OK);
    assert_int_equal(
        meterline_emit(m, METERLINE_EVENT(.tenant = "ünïcode", .metric = "m", .quantity = "-1.5",
                                          .id = "order 7", .ts_ms = clock_unix_ms() - 1000,
                                          .dimensions = DIMENSIONS, .dimensions_count = 2)),
        METERLINE_OK);
    assert_int_equal(
        meterline_emit(m, METERLINE_EVENT(.tenant = "acme", .id = "order 7", .retract = 1)),
        METERLINE_OK);
    assert_int_equal(meterline_flush(m, 10), METERLINE_TIMEOUT);
    assert_string_equal(meterline_error(), "3 events are not in Redis yet");
    meterline_stats(m, &stats);
    assert_int_equal(stats.emitted, 3);
    assert_int_equal(stats.sent, 0);
    assert_int_equal(meterline_close(m, 0), METERLINE_TIMEOUT);
}

static void quotas_without_redis_are_what_the_option_says(void **state)
{
    (void)state;
    for (int closed = 0; closed < 2; closed++) {
        struct meterline *m =
            meterline_open(METERLINE_OPTIONS(.redis_url = NOBODY, .quota_closed = closed));
        struct meterline_answer answer = {.size = sizeof answer};
        const struct meterline_ask *ask =
            METERLINE_ASK(.tenant = "acme", .metric = "m", .id = "request-1");
        assert_non_null(m);
        assert_int_equal(meterline_check(m, ask, &answer), METERLINE_UNAVAILABLE);
        assert_int_equal(answer.allowed, !closed);
        assert_string_equal(answer.verdict, "unknown");
        assert_int_equal(meterline_reserve(m, ask, &answer), METERLINE_UNAVAILABLE);
        assert_int_equal(meterline_settle(m, ask, NULL), METERLINE_UNAVAILABLE);
        /* The event waits in the spool. */
        assert_int_equal(meterline_settle(m, ask, METERLINE_EVENT(.quantity = "2")), METERLINE_OK);
        assert_int_equal(meterline_settle(m, ask, METERLINE_EVENT(.tenant = "other")),
                         METERLINE_INVALID);
        assert_int_equal(meterline_close(m, 0), METERLINE_TIMEOUT);
    }
}

static void questions_that_are_none_are_refused(void **state)
{
    static const struct {
        struct meterline_ask ask;
        const char *error;
    } cases[] = {
        {{.metric = "m"}, "tenant: must be 1 to 128 bytes"},
        {{.tenant = "a", .metric = "M"}, "metric: must be [a-z0-9_]{1,64}"},
        {{.tenant = "a", .metric = "m", .quantity = "-1"},
         "quantity: must be a decimal from 0 on, of up to 18 digits, and up to 9 behind a point"},
    };
    struct meterline *m = open_library();
    struct meterline_answer answer = {.size = sizeof answer};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct meterline_ask ask = cases[i].ask;
        ask.size = sizeof ask;
        assert_int_equal(meterline_check(m, &ask, &answer), METERLINE_INVALID);
        assert_string_equal(meterline_error(), cases[i].error);
    }
    assert_int_equal(meterline_reserve(m, METERLINE_ASK(.tenant = "a", .metric = "m"), &answer),
                     METERLINE_INVALID);
    assert_int_equal(meterline_settle(m, METERLINE_ASK(.tenant = "a", .metric = "m"), NULL),
                     METERLINE_INVALID);
    assert_int_equal(meterline_close(m, 0), METERLINE_OK);
}

static void waits_may_be_as_long_as_numbers_go(void **state)
{
    struct meterline *m =
        meterline_open(METERLINE_OPTIONS(.redis_url = NOBODY, .wait_ms = INT64_MAX));
    (void)state;
    assert_non_null(m);
    assert_int_equal(meterline_flush(m, INT64_MAX), METERLINE_OK);
    assert_int_equal(meterline_emit(m, METERLINE_EVENT(.tenant = "acme", .metric = "m")),
                     METERLINE_OK);
    assert_int_equal(meterline_flush(m, INT64_MIN), METERLINE_TIMEOUT);
    assert_int_equal(meterline_close(m, -1), METERLINE_TIMEOUT);
}

static void what_is_no_event_is_refused_with_its_field(void **state)
{
    static char long_text[257 + 1];
    static const struct meterline_dimension TWICE[] = {{"model", "a"}, {"model", "b"}};
    static const struct meterline_dimension FIELD[] = {{"tenant", "a"}};
    static const struct meterline_dimension NAME[] = {{"Model", "a"}};
    static const struct meterline_dimension NONE[] = {{"model", NULL}};
    static const struct meterline_dimension BYTES[] = {{"model", "\xff"}};
    static struct meterline_dimension many[17];
    static char names[17][8];
    memset(long_text, 'x', sizeof long_text - 1);
    for (int i = 0; i < 17; i++) {
        snprintf(names[i], sizeof names[i], "d%d", i);
        many[i] = (struct meterline_dimension){names[i], "x"};
    }
    const struct {
        struct meterline_event *event;
        const char *why;
    } cases[] = {
        {METERLINE_EVENT(.metric = "m"), "tenant: is missing"},
        {METERLINE_EVENT(.tenant = "", .metric = "m"), "tenant: is empty"},
        {METERLINE_EVENT(.tenant = "a\nb", .metric = "m"), "tenant: contains a control character"},
        {METERLINE_EVENT(.tenant = "\xff", .metric = "m"), "tenant: is no UTF-8"},
        {METERLINE_EVENT(.tenant = long_text, .metric = "m"), "tenant: has 257 bytes"},
        {METERLINE_EVENT(.tenant = "a"), "metric: is missing"},
        {METERLINE_EVENT(.tenant = "a", .metric = "API"), "metric: must be [a-z0-9_]{1,64}"},
        {METERLINE_EVENT(.tenant = "a", .metric = "m", .quantity = "1e3"), "without an exponent"},
        {METERLINE_EVENT(.tenant = "a", .metric = "m", .quantity = ""), "quantity: must be"},
        {METERLINE_EVENT(.tenant = "a", .metric = "m", .id = ""), "id: is empty"},
        {METERLINE_EVENT(.tenant = "a", .metric = "m", .id = long_text), "id: has 257 bytes"},
        {METERLINE_EVENT(.tenant = "a", .metric = "m", .ts_ms = 1), "ts: is more than 35 days ago"},
        {METERLINE_EVENT(.tenant = "a", .metric = "m", .ts_ms = clock_unix_ms() + DAY_MS),
         "ts: is more than 5 minutes in the future"},
        {METERLINE_EVENT(.tenant = "a", .retract = 1), "id: is missing"},
        {METERLINE_EVENT(.tenant = "a", .metric = "m", .dimensions = TWICE, .dimensions_count = 2),
         "model: is given twice"},
        {METERLINE_EVENT(.tenant = "a", .metric = "m", .dimensions = FIELD, .dimensions_count = 1),
         "tenant: is a field of the event"},
        {METERLINE_EVENT(.tenant = "a", .metric = "m", .dimensions = NAME, .dimensions_count = 1),
         "the name of a field must be"},
        {METERLINE_EVENT(.tenant = "a", .metric = "m", .dimensions = NONE, .dimensions_count = 1),
         "dimension 1: has no value"},
        {METERLINE_EVENT(.tenant = "a", .metric = "m", .dimensions = BYTES, .dimensions_count = 1),
         "model: is no UTF-8"},
        {METERLINE_EVENT(.tenant = "a", .metric = "m", .dimensions = many, .dimensions_count = 17),
         "d16: too many dimensions"},
    };
    struct meterline *m = open_library();
    struct meterline_stats stats = {.size = sizeof stats};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(meterline_emit(m, cases[i].event), METERLINE_INVALID);
        if (!strstr(meterline_error(), cases[i].why))
            fail_msg("%zu: %s", i, meterline_error());
    }
    meterline_stats(m, &stats);
    assert_int_equal(stats.refused, sizeof cases / sizeof cases[0]);
    assert_int_equal(stats.emitted, 0);
    assert_int_equal(meterline_close(m, 0), METERLINE_OK);
}

/* The largest event that the rules allow has its place. */
static void the_largest_event_is_taken(void **state)
{
    static struct meterline_dimension many[16];
    static char names[16][65];
    static char value[257];
    static char id[256];
    static char tenant[129];
    struct meterline *m = open_library();
    (void)state;
    memset(value, 'v', sizeof value - 1);
    memset(id, 'i', sizeof id - 1);
    memset(tenant, 't', sizeof tenant - 1);
    for (int i = 0; i < 16; i++) {
        snprintf(names[i], sizeof names[i], "%064d", i);
        many[i] = (struct meterline_dimension){names[i], value};
    }
    assert_int_equal(
        meterline_emit(m, METERLINE_EVENT(.tenant = tenant, .metric = names[0], .id = id,
                                          .quantity = "-999999999999999999.999999999",
                                          .dimensions = many, .dimensions_count = 16)),
        METERLINE_OK);
    meterline_close(m, 0);
}

static void a_full_spool_refuses_and_says_so(void **state)
{
    struct meterline *m =
        meterline_open(METERLINE_OPTIONS(.redis_url = NOBODY, .spool_max_bytes = 16 << 20));
    struct meterline_stats stats = {.size = sizeof stats};
    int result = METERLINE_OK;
    (void)state;
    assert_non_null(m);
    while (result == METERLINE_OK)
        result = meterline_emit(m, METERLINE_EVENT(.tenant = "acme", .metric = "api_calls"));
    assert_int_equal(result, METERLINE_FULL);
    assert_non_null(strstr(meterline_error(), "the spool is full"));
    meterline_stats(m, &stats);
    assert_true(stats.emitted > 50000);
    assert_true(stats.spool_bytes <= 16 << 20);
    meterline_close(m, 0);
}

static void wrong_options_are_told(void **state)
{
    const struct {
        const struct meterline_options *options;
        const char *why;
    } cases[] = {
        {METERLINE_OPTIONS(.redis_url = "http://x"), "redis_url"},
        {METERLINE_OPTIONS(.stream_shards = -1), "stream_shards: must be 1 to 1024"},
        {METERLINE_OPTIONS(.spool_max_bytes = 1), "spool_max_bytes: must be at least 16777216"},
        {METERLINE_OPTIONS(.wait_ms = -1), "wait_ms: must not be negative"},
        {METERLINE_OPTIONS(.sync = (enum meterline_sync)7), "sync: there is no such value"},
        {METERLINE_OPTIONS(.spool_folder = "/proc/self/spool"), "make the folder /proc/self/spool"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_null(meterline_open(cases[i].options));
        if (!strstr(meterline_error(), cases[i].why))
            fail_msg("%zu: %s", i, meterline_error());
    }
}

static void a_child_of_fork_is_refused(void **state)
{
    struct meterline *m = open_library();
    int status;
    (void)state;
    pid_t child = fork();
    if (child == 0) {
        bool refused =
            meterline_emit(m, METERLINE_EVENT(.tenant = "a", .metric = "m")) == METERLINE_FORKED &&
            strstr(meterline_error(), "parent process") &&
            meterline_flush(m, 0) == METERLINE_FORKED && meterline_close(m, 0) == METERLINE_FORKED;
        _exit(refused ? 0 : 1);
    }
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(meterline_emit(m, METERLINE_EVENT(.tenant = "a", .metric = "m")),
                     METERLINE_OK);
    meterline_close(m, 0);
}

/* What a program gives that was compiled with an older meterline.h. */
static void a_struct_of_an_older_header_is_taken(void **state)
{
    struct meterline *m = open_library();
    struct meterline_event event = {.size = offsetof(struct meterline_event, id),
                                    .tenant = "a",
                                    .metric = "m",
                                    .id = "",
                                    .retract = 1};
    (void)state;
    assert_int_equal(meterline_emit(m, &event), METERLINE_OK);
    meterline_close(m, 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_taken_without_redis),
        cmocka_unit_test(quotas_without_redis_are_what_the_option_says),
        cmocka_unit_test(questions_that_are_none_are_refused),
        cmocka_unit_test(waits_may_be_as_long_as_numbers_go),
        cmocka_unit_test(what_is_no_event_is_refused_with_its_field),
        cmocka_unit_test(the_largest_event_is_taken),
        cmocka_unit_test(a_full_spool_refuses_and_says_so),
        cmocka_unit_test(wrong_options_are_told),
        cmocka_unit_test(a_child_of_fork_is_refused),
        cmocka_unit_test(a_struct_of_an_older_header_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
