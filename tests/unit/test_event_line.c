/* A line of NDJSON is an event to the letter, or there is a reason why not: the stream's rules, as
 * tables. */
#include "common/contract.h"
#include "common/events/event_line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW_MS 1795000000000LL
#define A64    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define A128   A64 A64
#define A256   A128 A128
/* A good line but for what stands in it. */
#define WITH(members) "{\"tenant\":\"acme\",\"metric\":\"calls\"," members "}"
#define D(n)          "\"d" #n "\":\"x\""
#define D16                                                                                        \
    D(1)                                                                                           \
    "," D(2) "," D(3) "," D(4) "," D(5) "," D(6) "," D(7) "," D(8) "," D(9) "," D(10) "," D(       \
        11) "," D(12) "," D(13) "," D(14) "," D(15) "," D(16)

static struct event_line event;

static void must_parse(const char *line, enum event_known known, const char *value)
{
    if (event_line_parse(&event, line, strlen(line), NOW_MS, NULL))
        fail_msg("%s: %s", line, event.why);
    if (!value) {
        assert_false(event.given[known]);
        return;
    }
    assert_true(event.given[known]);
    assert_int_equal(event.known[known].length, strlen(value));
    assert_memory_equal(event.known[known].data, value, strlen(value));
}

static void must_not_parse(const char *line, const char *why)
{
    if (event_line_parse(&event, line, strlen(line), NOW_MS, NULL) == 0)
        fail_msg("parsed: %s", line);
    assert_string_equal(event.why, why);
}

/* Numbers and strings arrive as the very text that was written: no floating point in between. */
static void test_quantity_to_the_letter(void **state)
{
    static const char *const TEXTS[] = {"1",
                                        "0",
                                        "1.5",
                                        "0.1",
                                        "-3",
                                        "-0.000000001",
                                        "999999999999999999.999999999",
                                        "1.0",
                                        "-0",
                                        "0.30",
                                        "9007199254740993",
                                        "123456789.123456789"};
    char line[200];

    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        snprintf(line, sizeof line, WITH("\"quantity\":%s"), TEXTS[i]);
        must_parse(line, EVENT_QUANTITY, TEXTS[i]);
        snprintf(line, sizeof line, WITH("\"quantity\":\"%s\""), TEXTS[i]);
        must_parse(line, EVENT_QUANTITY, TEXTS[i]);
    }
    must_parse(WITH("\"quantity\":\"007\""), EVENT_QUANTITY, "007");
    must_parse("{\"tenant\":\"acme\",\"metric\":\"calls\"}", EVENT_QUANTITY, NULL);
}

#define NOT_A_DECIMAL "quantity: must be a decimal of up to 18 digits, and up to 9 behind a point"
#define EXPONENT      "quantity: must be written without an exponent"

static void test_quantity_refused(void **state)
{
    static const struct {
        const char *line;
        const char *why;
    } CASES[] = {
        {WITH("\"quantity\":1e3"), EXPONENT},
        {WITH("\"quantity\":1E-3"), EXPONENT},
        {WITH("\"quantity\":\"1e3\""), EXPONENT},
        {WITH("\"quantity\":0.1234567891"), NOT_A_DECIMAL},
        {WITH("\"quantity\":1234567890123456789"), NOT_A_DECIMAL},
        {WITH("\"quantity\":\"\""), NOT_A_DECIMAL},
        {WITH("\"quantity\":\"+1\""), NOT_A_DECIMAL},
        {WITH("\"quantity\":\"1.\""), NOT_A_DECIMAL},
        {WITH("\"quantity\":\".5\""), NOT_A_DECIMAL},
        {WITH("\"quantity\":\" 1\""), NOT_A_DECIMAL},
        {WITH("\"quantity\":\"12,5\""), NOT_A_DECIMAL},
        {WITH("\"quantity\":\"NaN\""), NOT_A_DECIMAL},
        {WITH("\"quantity\":null"), "quantity: must be a string or a number"},
        {WITH("\"quantity\":true"), "quantity: must be a string or a number"},
        {WITH("\"quantity\":[1]"), "quantity: must be a string or a number"},
        {WITH("\"quantity\":1,\"quantity\":1"), "quantity: is given twice"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        must_not_parse(CASES[i].line, CASES[i].why);
}

static void test_known_fields(void **state)
{
    (void)state;
    must_parse("{\"metric\":\"calls\",\"tenant\":\"" A128 "\"}", EVENT_TENANT, A128);
    must_parse("{\"tenant\":\"Zo\xc3\xab & co\",\"metric\":\"" A64 "\"}", EVENT_METRIC, A64);
    must_parse(WITH("\"id\":\"" A128 A64 "\""), EVENT_ID, A128 A64);
    must_parse(WITH("\"ts\":1795000000000"), EVENT_TS, "1795000000000");
    must_parse(WITH("\"ts\":\"1795000300000\""), EVENT_TS, "1795000300000");
    must_parse(WITH("\"ts\":\"1791976000000\""), EVENT_TS, "1791976000000");
    must_parse("{\"tenant\":\"a\",\"op\":\"retract\",\"id\":\"x\"}", EVENT_OP, "retract");
}

static void test_fields_refused(void **state)
{
    static const struct {
        const char *line;
        const char *why;
    } CASES[] = {
        {"{}", "tenant: is missing"},
        {"{\"metric\":\"calls\"}", "tenant: is missing"},
        {"{\"tenant\":\"a\"}", "metric: is missing"},
        {"{\"tenant\":\"\",\"metric\":\"c\"}", "tenant: is empty"},
        {"{\"tenant\":7,\"metric\":\"c\"}", "tenant: must be a string"},
        {"{\"tenant\":\"a" A128 "\",\"metric\":\"c\"}", "tenant: has 129 bytes, the limit is 128"},
        {"{\"tenant\":\"a\\nb\",\"metric\":\"c\"}", "tenant: contains a control character"},
        {"{\"tenant\":\"a\x7f\",\"metric\":\"c\"}", "tenant: contains a control character"},
        {"{\"tenant\":\"a\xc2\x85\",\"metric\":\"c\"}", "tenant: contains a control character"},
        {"{\"tenant\":\"a\\u009b\",\"metric\":\"c\"}", "tenant: contains a control character"},
        {"{\"tenant\":\"a\",\"metric\":\"Calls\"}", "metric: must be [a-z0-9_]{1,64}"},
        {"{\"tenant\":\"a\",\"metric\":\"a" A64 "\"}", "metric: must be [a-z0-9_]{1,64}"},
        {WITH("\"id\":\"\""), "id: is empty"},
        {WITH("\"id\":12"), "id: must be a string"},
        {WITH("\"id\":\"" A256 "\""), "id: has 256 bytes, the limit is 255"},
        {WITH("\"ts\":\"1795000000000.5\""), "ts: must be Unix milliseconds, a whole number"},
        {WITH("\"ts\":1.5e12"), "ts: must be Unix milliseconds, a whole number"},
        {WITH("\"ts\":\"2026-11-21\""), "ts: must be Unix milliseconds, a whole number"},
        {WITH("\"ts\":1795000300001"), "ts: is more than 5 minutes in the future"},
        {WITH("\"ts\":1791975999999"), "ts: is more than 35 days ago"},
        {WITH("\"ts\":-1"), "ts: is more than 35 days ago"},
        {WITH("\"op\":\"delete\""), "op: must be retract"},
        {"{\"tenant\":\"a\",\"op\":\"retract\"}",
         "id: is missing: which event is to be retracted?"},
        {WITH("\"Model\":\"x\""), "the name of a field must be [a-z0-9_]{1,64}"},
        {WITH("\"\":\"x\""), "the name of a field must be [a-z0-9_]{1,64}"},
        {WITH("\"model\":1"), "model: must be a string"},
        {WITH("\"model\":null"), "model: must be a string"},
        {WITH("\"model\":{}"), "model: must be a string"},
        {WITH("\"model\":\"a" A256 "\""), "model: has 257 bytes, the limit is 256"},
        {WITH("\"model\":\"a\",\"model\":\"b\""), "model: is given twice"},
        {WITH("\"model\":\"a\",\"m\\u006fdel\":\"a\""), "model: is given twice"},
        {WITH(D16 "," D(17)), "d17: too many dimensions, the limit is 16"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        must_not_parse(CASES[i].line, CASES[i].why);
}

static void test_not_json(void **state)
{
    static const struct {
        const char *line;
        const char *why;
    } CASES[] = {
        {"acme", "not JSON: expected { (byte 1)"},
        {"   ", "not JSON: expected { (byte 4)"},
        {"[]", "not JSON: expected { (byte 1)"},
        {"{", "not JSON: expected a name in quotes (byte 2)"},
        {"{,}", "not JSON: expected a name in quotes (byte 2)"},
        {"{\"a\":\"b\",}", "not JSON: expected a name in quotes (byte 10)"},
        {"{\"a\" \"b\"}", "not JSON: expected : (byte 6)"},
        {"{\"a\":\"b\" \"c\":\"d\"}", "not JSON: expected , or } (byte 10)"},
        {"{\"a\":}", "not JSON: expected a value (byte 6)"},
        {"{\"a\":\"b", "not JSON: the string has no end (byte 8)"},
        {"{\"a\":\"b\\", "not JSON: the string has no end (byte 9)"},
        {"{\"a\":\"b\\q\"}", "not JSON: unknown escape (byte 9)"},
        {"{\"a\":\"\\u12g4\"}", "not JSON: \\u needs four hexadecimal digits (byte 12)"},
        {"{\"a\":\"\\u0000\"}", "not JSON: NUL is not allowed (byte 13)"},
        {"{\"a\":\"\\ud800\"}", "not JSON: half of a surrogate pair (byte 13)"},
        {"{\"a\":\"\\ud800\\u0041\"}", "not JSON: half of a surrogate pair (byte 19)"},
        {"{\"a\":\"\\udc00\"}", "not JSON: half of a surrogate pair (byte 13)"},
        {"{\"a\":\"\t\"}", "not JSON: a control character in a string must be escaped (byte 7)"},
        {"{\"a\":\"\xff\"}", "not JSON: invalid UTF-8, or a NUL byte"},
        {WITH("\"quantity\":01"), "not JSON: a number must have digits and no leading 0 (byte 48)"},
        {WITH("\"quantity\":-"), "not JSON: a number must have digits and no leading 0 (byte 47)"},
        {WITH("\"quantity\":1."), "not JSON: expected digits after the decimal point (byte 48)"},
        {WITH("\"quantity\":1e"), "not JSON: expected digits in the exponent (byte 48)"},
        {WITH("\"d\":\"x\"") "x", "not JSON: unexpected text after the object (byte 43)"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        must_not_parse(CASES[i].line, CASES[i].why);
}

/* Escapes, spaces and long strings are JSON's: what arrives is what they mean. */
static void test_escapes(void **state)
{
    (void)state;
    must_parse(" { \"tenant\" : \"a\\u00e9\\ud83d\\ude00b\" ,\t\"metric\":\"c\" } ", EVENT_TENANT,
               "a\xc3\xa9\xf0\x9f\x98\x80"
               "b");
    must_parse(WITH("\"id\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), EVENT_ID, "\"\\/\b\f\n\r\t");
    must_parse("{\"tenant\":\"\\u0061\",\"metric\":\"\\u0062\"}", EVENT_METRIC, "b");
    must_parse("{\"tenant\":\"\\u0061\",\"metric\":\"\\u0062\"}", EVENT_TENANT, "a");
    must_parse(WITH(D16), EVENT_ID, NULL);
    assert_int_equal(event.dimensions_count, 16);
}

/* With a catalog only its metrics are taken, and no derived ones. */
static void test_catalog(void **state)
{
    static const char CATALOG[] = "{\"metrics\": [{\"metric\": \"calls\"}, {\"metric\": \"aa\"},"
                                  "{\"metric\": \"large\", \"from\": \"calls\"}]}";
    static const char GOOD[] = "{\"tenant\":\"a\",\"metric\":\"aa\"}";
    static const char DERIVED[] = "{\"tenant\":\"a\",\"metric\":\"large\"}";
    char file[] = "/tmp/test_event_line.XXXXXX";
    struct err e;
    int fd = mkstemp(file);

    (void)state;
    assert_int_equal(write(fd, CATALOG, strlen(CATALOG)), strlen(CATALOG));
    close(fd);
    struct metric_names *metrics = metric_names_load(file, &e);
    unlink(file);
    assert_non_null(metrics);
    assert_int_equal(event_line_parse(&event, GOOD, strlen(GOOD), NOW_MS, metrics), 0);
    assert_int_equal(event_line_parse(&event, DERIVED, strlen(DERIVED), NOW_MS, metrics), -1);
    assert_string_equal(event.why,
                        "metric: large is not in the catalog, or is derived from another metric");
    metric_names_free(metrics);
    assert_null(metric_names_load(file, &e));
}

static void must_become(const char *line, const char *command)
{
    struct buf out = {0};

    must_parse(line, EVENT_TENANT, "a");
    event_line_add_command(&event, "usage:events", "own", "12", &out);
    assert_string_equal(out.data, command);
    buf_done(&out);
}

#define XADD     "$4\r\nXADD\r\n$12\r\nusage:events\r\n$1\r\n*\r\n"
#define TENANT_A "$6\r\ntenant\r\n$1\r\na\r\n"
#define METRIC_C "$6\r\nmetric\r\n$1\r\nc\r\n"

/* What lacks an id or a time gets ours; a retraction keeps to the id and time of what it takes
 * back. */
static void test_command(void **state)
{
    (void)state;
    must_become("{\"tenant\":\"a\",\"metric\":\"c\"}",
                "*11\r\n" XADD TENANT_A METRIC_C
                "$2\r\nid\r\n$3\r\nown\r\n$2\r\nts\r\n$2\r\n12\r\n");
    must_become("{\"x\":\"\",\"metric\":\"c\",\"ts\":1795000000000,\"id\":\"i\",\"tenant\":\"a\"}",
                "*13\r\n" XADD TENANT_A METRIC_C "$2\r\nid\r\n$1\r\ni\r\n$2\r\nts\r\n$13\r\n"
                "1795000000000\r\n$1\r\nx\r\n$0\r\n\r\n");
    must_become("{\"tenant\":\"a\",\"op\":\"retract\",\"id\":\"i\"}",
                "*9\r\n" XADD TENANT_A "$2\r\nid\r\n$1\r\ni\r\n$2\r\nop\r\n$7\r\nretract\r\n");
}

static int teardown(void **state)
{
    (void)state;
    event_line_done(&event);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantity_to_the_letter),
        cmocka_unit_test(test_quantity_refused),
        cmocka_unit_test(test_known_fields),
        cmocka_unit_test(test_fields_refused),
        cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_catalog),
        cmocka_unit_test(test_command),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
