/* Log lines: both forms, escaping, cutting, levels and repeats. */
#include "common/log.h"

#include "tests/unit/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define AT_MS 1795243270920LL /* 2026-11-21T06:41:10.920Z */
#define HEAD  "ts=2026-11-21T06:41:10.920Z level=warn stage=sink event=send_delayed"

static int format_all_types(char *line, int size, enum log_format format)
{
    const struct log_field fields[] = {
        LOG_STR("customer", "cus_9"),
        LOG_I64("attempt", 3),
        LOG_STR("absent", NULL),
        LOG_U64("bytes", UINT64_MAX),
        LOG_BOOL("first", false),
        LOG_I64("least", INT64_MIN),
        LOG_BOOL("last", 2),
        LOG_STR("msg", "no answer in time"),
        {.key = NULL},
    };
    return log_format_line(line, size, format, "sink", LOG_WARN, AT_MS, "send_delayed", fields);
}

static void a_line_in_logfmt(void **state)
{
    /* ts, level, stage and event come first, then the fields in order without absent texts. */
    (void)state;
    char line[512];
    int length = format_all_types(line, sizeof line, LOG_LOGFMT);
    assert_string_equal(line, HEAD " customer=cus_9 attempt=3 bytes=18446744073709551615"
                                   " first=false least=-9223372036854775808 last=true"
                                   " msg=\"no answer in time\"\n");
    assert_int_equal(length, strlen(line));
}

static void a_line_in_json(void **state)
{
    /* The JSON form holds the same keys in the same order, numbers and truth values unquoted. */
    (void)state;
    char line[512];
    format_all_types(line, sizeof line, LOG_JSON);
    assert_string_equal(line, "{\"ts\":\"2026-11-21T06:41:10.920Z\",\"level\":\"warn\","
                              "\"stage\":\"sink\",\"event\":\"send_delayed\","
                              "\"customer\":\"cus_9\",\"attempt\":3,"
                              "\"bytes\":18446744073709551615,\"first\":false,"
                              "\"least\":-9223372036854775808,\"last\":true,"
                              "\"msg\":\"no answer in time\"}\n");
}

static void values_are_escaped(void **state)
{
    /* Whatever could end a value or a line, or steer a terminal, is quoted and escaped. */
    (void)state;
    static const struct {
        const char *value;
        const char *logfmt;
        const char *json;
    } cases[] = {
        {"plain", "plain", "\"plain\""},
        {"", "\"\"", "\"\""},
        {"a b", "\"a b\"", "\"a b\""},
        {"a=b", "\"a=b\"", "\"a=b\""},
        {"a\"b", "\"a\\\"b\"", "\"a\\\"b\""},
        {"a\\b", "\"a\\\\b\"", "\"a\\\\b\""},
        {"a\nb", "\"a\\nb\"", "\"a\\nb\""},
        {"\r\t", "\"\\r\\t\"", "\"\\r\\t\""},
        {"\x1b[31m", "\"\\x1b[31m\"", "\"\\u001b[31m\""},
        {"\x7f", "\"\\x7f\"", "\"\\u007f\""},
        {"größe", "\"größe\"", "\"größe\""},
        {"💶", "\"💶\"", "\"💶\""},
        {"\xc2\x9b"
         "31m",
         "\"\\x9b31m\"", "\"\\u009b31m\""},
        {"\xc2\xa0", "\"\xc2\xa0\"", "\"\xc2\xa0\""},
        {"a\xff", "\"a\\xff\"", "\"a\\\\xff\""},
        {"\xc3(", "\"\\xc3(\"", "\"\\\\xc3(\""},
        {"\xed\xa0\x80", "\"\\xed\\xa0\\x80\"", "\"\\\\xed\\\\xa0\\\\x80\""},
        {"\xe2\x82", "\"\\xe2\\x82\"", "\"\\\\xe2\\\\x82\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct log_field fields[] = {LOG_STR("k", cases[i].value), {.key = NULL}};
        char line[256];
        char expected[256];
        log_format_line(line, sizeof line, LOG_LOGFMT, "s", LOG_INFO, 0, "e", fields);
        snprintf(expected, sizeof expected, " k=%s\n", cases[i].logfmt);
        assert_string_equal(strstr(line, " k="), expected);
        log_format_line(line, sizeof line, LOG_JSON, "s", LOG_INFO, 0, "e", fields);
        snprintf(expected, sizeof expected, ",\"k\":%s}\n", cases[i].json);
        assert_string_equal(strstr(line, ",\"k\":"), expected);
    }
}

/* May be cut in every kind of place: keys, numbers, plain and escaped text. */
static int format_cut(char *line, int size, enum log_format format)
{
    const struct log_field fields[] = {
        LOG_I64("number", 1234567890123456789),
        LOG_STR("bare", "abcdefghijklmnopqrstuvwxyz"),
        LOG_STR("text", "größe \"x\"\n\xff\x1b 💶💶"),
        LOG_BOOL("truth", true),
        LOG_STR("last", "a b c d e"),
        {.key = NULL},
    };
    return log_format_line(line, size, format, "sink", LOG_WARN, AT_MS, "e", fields);
}

static void json_stays_valid_at_any_size(void **state)
{
    /* Wherever a line is cut, its JSON can be parsed, ends its line and fits. */
    (void)state;
    char line[512];
    int whole = format_cut(line, sizeof line, LOG_JSON);
    for (int size = 64; size <= whole + 8; size++) {
        char *cut = malloc((size_t)size);
        int length = format_cut(cut, size, LOG_JSON);
        assert_in_range(length, 1, size - 1);
        assert_int_equal(strlen(cut), length);
        assert_int_equal(cut[length - 1], '\n');
        json_t *object = json_loads(cut, JSON_REJECT_DUPLICATES, NULL);
        if (!object)
            fail_msg("size %d: %s", size, cut);
        assert_string_equal(json_string_value(json_object_get(object, "ts")),
                            "2026-11-21T06:41:10.920Z");
        json_decref(object);
        free(cut);
    }
}

/* True if quotes pair up, not counting escaped ones. */
static bool quotes_pair_up(const char *line)
{
    bool inside = false;
    for (; *line; line++) {
        if (inside && *line == '\\')
            line++;
        else if (*line == '"')
            inside = !inside;
    }
    return !inside;
}

static void logfmt_stays_valid_at_any_size(void **state)
{
    /* Wherever a line is cut, its quotes pair up and it is a beginning of the whole line. */
    (void)state;
    char whole[512];
    int most = format_cut(whole, sizeof whole, LOG_LOGFMT);
    for (int size = 64; size <= most + 8; size++) {
        char *cut = malloc((size_t)size);
        int length = format_cut(cut, size, LOG_LOGFMT);
        assert_in_range(length, 1, size - 1);
        assert_int_equal(cut[length - 1], '\n');
        assert_true(quotes_pair_up(cut));
        int text = length - (cut[length - 2] == '"' ? 2 : 1);
        assert_memory_equal(cut, whole, (size_t)text);
        if (size >= most + 4)
            assert_string_equal(cut, whole);
        free(cut);
    }
}

static void levels_below_the_least_are_silent(void **state)
{
    /* Only lines at or above the level that was set go out. */
    (void)state;
    for (int least = LOG_DEBUG; least <= LOG_ERROR; least++) {
        log_init("test", (enum log_level)least, LOG_LOGFMT);
        for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
            struct capture c = capture_start(STDERR_FILENO);
            log_at((enum log_level)level, started, LOG_MSG("x"));
            char *text = capture_end(&c);
            assert_int_equal(*text != '\0', level >= least);
            assert_int_equal(log_enabled((enum log_level)level), level >= least);
            free(text);
        }
    }
    log_init("test", LOG_INFO, LOG_LOGFMT);
}

static void a_line_is_one_write(void **state)
{
    /* A whole line goes out in a single write, so that lines of several processes do not mix. */
    (void)state;
    int ends[2];
    char packet[8192];
    int saved = dup(STDERR_FILENO);
    assert_int_equal(pipe2(ends, O_DIRECT), 0); /* a read gives just what one write gave */
    dup2(ends[1], STDERR_FILENO);
    log_info(started, LOG_STR("a", "b c"), LOG_I64("n", 1));
    log_info(stopped, LOG_MSG("x"));
    dup2(saved, STDERR_FILENO);
    ssize_t length = read(ends[0], packet, sizeof packet);
    assert_true(length > 0 && packet[length - 1] == '\n');
    assert_ptr_equal(memchr(packet, '\n', (size_t)length), packet + length - 1);
    assert_non_null(memmem(packet, (size_t)length, "event=started a=\"b c\" n=1", 25));
    close(saved);
    close(ends[0]);
    close(ends[1]);
}

static void a_huge_value_makes_one_line(void **state)
{
    /* A value larger than any line is cut, and the line still ends. */
    (void)state;
    char huge[10000];
    memset(huge, 'x', sizeof huge - 1);
    huge[sizeof huge - 1] = '\0';
    struct capture c = capture_start(STDERR_FILENO);
    log_info(started, LOG_STR("value", huge), LOG_MSG("lost"));
    char *text = capture_end(&c);
    assert_in_range(strlen(text), 4000, 4096);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    free(text);
}

static void errors_have_two_fields(void **state)
{
    /* LOG_ERR gives the kind's name and the text. */
    (void)state;
    struct err e;
    err_set(&e, ERR_TIMEOUT, "post: %d ms", 8000);
    struct capture c = capture_start(STDERR_FILENO);
    errno = ENOSPC;
    log_warn(send_delayed, LOG_ERR(&e));
    assert_int_equal(errno, ENOSPC); /* logging does not disturb it */
    char *text = capture_end(&c);
    assert_non_null(strstr(text, " err=timeout msg=\"post: 8000 ms\"\n"));
    free(text);
}

static void a_closed_stderr_is_survived(void **state)
{
    /* A line that cannot be written is lost, and nothing else happens. */
    (void)state;
    int saved = dup(STDERR_FILENO);
    close(STDERR_FILENO);
    log_error(peer_lost, LOG_MSG("x"));
    dup2(saved, STDERR_FILENO);
    close(saved);
}

static void repeats_are_held_back(void **state)
{
    /* A repeated failure is logged first, then once a minute with the count of those held back. */
    (void)state;
    struct log_repeat r = {0};
    uint64_t held = 99;
    assert_true(log_repeat_failed(&r, 5000, &held));
    assert_int_equal(held, 0);
    for (int64_t now_ms = 6000; now_ms < 65000; now_ms += 1000)
        assert_false(log_repeat_failed(&r, now_ms, &held));
    assert_true(log_repeat_failed(&r, 65000, &held));
    assert_int_equal(held, 59);
    assert_false(log_repeat_failed(&r, 65001, &held));
    assert_true(log_repeat_failed(&r, 125000, &held));
    assert_int_equal(held, 1);
}

static void recovery_is_logged_once(void **state)
{
    /* Recovery counts only after a failure, and only once; then the next failure is a first one. */
    (void)state;
    struct log_repeat r = {0};
    uint64_t held;
    assert_false(log_repeat_recovered(&r));
    log_repeat_failed(&r, 0, &held); /* a monotonic clock may stand at 0 */
    assert_false(log_repeat_failed(&r, 1, &held));
    assert_true(log_repeat_recovered(&r));
    assert_false(log_repeat_recovered(&r));
    assert_true(log_repeat_failed(&r, 2, &held));
    assert_int_equal(held, 0);
}

static void another_cause_is_logged_at_once(void **state)
{
    /* Each once a minute, and so many at most; what was held back is told with the next line. */
    (void)state;
    struct log_causes c = {0};
    uint64_t held = 99;
    assert_false(log_cause_recovered(&c));
    assert_true(log_cause_failed(&c, "closed", 1000, &held));
    assert_int_equal(held, 0);
    for (int64_t now_ms = 1001; now_ms < 1010; now_ms++)
        assert_false(log_cause_failed(&c, "closed", now_ms, &held));
    assert_true(log_cause_failed(&c, "refused", 2000, &held));
    assert_int_equal(held, 9);
    assert_false(log_cause_failed(&c, "closed", 2001, &held));
    assert_false(log_cause_failed(&c, "refused", 2002, &held));
    assert_true(log_cause_failed(&c, "starting", 3000, &held));
    assert_int_equal(held, 2);
    assert_true(log_cause_failed(&c, "full", 3001, &held));
    assert_false(log_cause_failed(&c, "a fifth one", 3002, &held));
    assert_true(log_cause_failed(&c, "refused", 61000, &held));
    assert_int_equal(held, 1);
    assert_false(log_cause_failed(&c, "refused", 61001, &held));
    assert_true(log_cause_failed(&c, "closed", 61002, &held));
    assert_true(log_cause_recovered(&c));
    assert_true(log_cause_failed(&c, "closed", 61003, &held));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_cause_is_logged_at_once),
        cmocka_unit_test(a_line_in_logfmt),
        cmocka_unit_test(a_line_in_json),
        cmocka_unit_test(values_are_escaped),
        cmocka_unit_test(json_stays_valid_at_any_size),
        cmocka_unit_test(logfmt_stays_valid_at_any_size),
        cmocka_unit_test(levels_below_the_least_are_silent),
        cmocka_unit_test(a_line_is_one_write),
        cmocka_unit_test(a_huge_value_makes_one_line),
        cmocka_unit_test(errors_have_two_fields),
        cmocka_unit_test(a_closed_stderr_is_survived),
        cmocka_unit_test(repeats_are_held_back),
        cmocka_unit_test(recovery_is_logged_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
