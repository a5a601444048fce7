/* A rejected entry is sent again with every byte, at its time, under one id. */
#include "common/str.h"
#include "ctl/rejected/replay_entry.h"
#include "ctl/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS 1795000000000LL
#define ID     "1794999999999-7"

/* Names and values with "|" between them, "\0" shown as "0x00". */
static char *built(const char *fields, enum replay_obstacle wanted)
{
    struct replay_entry entry;
    struct buf text = {0};

    assert_int_equal(replay_entry_build(fields, "usage:events", ID, NOW_MS, &entry), wanted);
    for (size_t i = 0; i < entry.count; i++) {
        buf_add_str(&text, i ? "|" : "");
        for (size_t k = 0; k < entry.lengths[i]; k++)
            if (entry.parts[i][k])
                buf_add_char(&text, entry.parts[i][k]);
            else
                buf_add_str(&text, "0x00");
    }
    replay_entry_done(&entry);
    return text.data ? buf_take(&text) : xstrdup("");
}

static void assert_built(const char *fields, const char *wanted)
{
    char *text = built(fields, REPLAY_NONE);
    assert_string_equal(text, wanted);
    free(text);
}

static void what_lacks_time_or_id_gets_the_originals(void **state)
{
    (void)state;
    assert_built("[[\"tenant\",\"acme\"]]", "tenant|acme|ts|1794999999999|id|usage:events/" ID);
    assert_built("[[\"id\",\"a\"],[\"ts\",\"1795000000000\"]]", "id|a|ts|1795000000000");
    assert_built("[[\"ts\",\"soon\"],[\"id\",\"\"]]", "ts|soon|id|");
    assert_built("[[\"op\",\"retract\"],[\"tenant\",\"acme\"]]", "op|retract|tenant|acme");
    assert_built("[[\"x\",{\"base64\":\"AGE=\"}],[\"ts\",\"1795000000000\"],[\"id\",\"a\"]]",
                 "x|0x00a|ts|1795000000000|id|a");
    assert_built("[[\"id\",\"a\"],[\"id\",\"b\"],[\"ts\",\"1\xc2\xb2\"]]",
                 "id|a|id|b|ts|1\xc2\xb2");
}

static void a_quantity_that_would_be_refused_is_rounded(void **state)
{
    static const struct {
        const char *quantity; /* and what stands behind it */
        enum replay_obstacle wanted;
        bool rounded;
        const char *result;
    } CASES[] = {
        {"0.30000000000000004", REPLAY_NONE, true, "0.3"},
        {"1e-7", REPLAY_NONE, true, "0.0000001"},
        {"0.300000000", REPLAY_NONE, false, "0.300000000"},
        {"many", REPLAY_QUANTITY, false, "many"},
        {"1e30", REPLAY_QUANTITY, false, "1e30"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct replay_entry entry;
        bool rounded = true;
        char *fields =
            xasprintf("[[\"ts\",\"1795000000000\"],[\"quantity\",\"%s\"]]", CASES[i].quantity);
        assert_int_equal(replay_entry_build(fields, "usage:events", ID, NOW_MS, &entry),
                         REPLAY_NONE);
        assert_int_equal(replay_entry_round(&entry, 9, &rounded), CASES[i].wanted);
        assert_int_equal(rounded, CASES[i].rounded);
        assert_int_equal(entry.lengths[3], strlen(CASES[i].result));
        assert_memory_equal(entry.parts[3], CASES[i].result, entry.lengths[3]);
        replay_entry_done(&entry);
        free(fields);
    }
    struct replay_entry none;
    bool rounded = true;
    replay_entry_build("[[\"tenant\",\"acme\"]]", "usage:events", ID, NOW_MS, &none);
    assert_int_equal(replay_entry_round(&none, 9, &rounded), REPLAY_NONE);
    assert_false(rounded);
    replay_entry_done(&none);
}

static void what_cannot_be_sent_is_told(void **state)
{
    static const struct {
        const char *fields;
        enum replay_obstacle wanted;
    } CASES[] = {
        {"[[\"tenant\",\"acme\"],{\"truncated_bytes\":9}]", REPLAY_CUT},
        {"[{\"truncated_bytes\":9}]", REPLAY_CUT},
        {"[]", REPLAY_EMPTY},
        {"{}", REPLAY_EMPTY},
        {"[[\"tenant\"]]", REPLAY_EMPTY},
        {"[[\"tenant\",5]]", REPLAY_EMPTY},
        {"[[\"tenant\",{\"base64\":\"%\"}]]", REPLAY_EMPTY},
        {"[[\"ts\",\"1791975999999\"]]", REPLAY_TOO_OLD},
        {"[[\"ts\",\"1795000300001\"]]", REPLAY_IN_FUTURE},
        {"[[\"ts\",\"1791976000000\"]]", REPLAY_NONE},
        {"[[\"ts\",\"1795000300000\"]]", REPLAY_NONE},
        {"[[\"op\",\"retract\"],[\"ts\",\"5\"]]", REPLAY_TOO_OLD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++)
        free(built(CASES[i].fields, CASES[i].wanted));
    for (int i = REPLAY_CUT; i < REPLAY_OBSTACLES; i++) {
        assert_true(*replay_obstacle_name((enum replay_obstacle)i));
        assert_true(*replay_obstacle_text((enum replay_obstacle)i));
    }
}

static bool is_api_calls(const void *metrics, const char *name, size_t length)
{
    (void)metrics;
    return length == strlen("api_calls") && memcmp(name, "api_calls", length) == 0;
}

#define GOOD "[\"tenant\",\"a\"],[\"metric\",\"api_calls\"]"

static void what_would_be_refused_again_is_told(void **state)
{
    /* By what stands in it, as the aggregator says. */
    static const struct {
        const char *fields;
        enum replay_obstacle wanted;
    } CASES[] = {
        {"[" GOOD "]", REPLAY_NONE},
        {"[" GOOD ",[\"quantity\",\"-1.5\"],[\"id\",\"x\"],[\"note\",\"\"]]", REPLAY_NONE},
        {"[[\"metric\",\"api_calls\"]]", REPLAY_MISSING},
        {"[[\"tenant\",\"a\"]]", REPLAY_MISSING},
        {"[[\"tenant\",\"\"],[\"metric\",\"api_calls\"]]", REPLAY_BAD_FIELD},
        {"[[\"tenant\",\"a\\u0007\"],[\"metric\",\"api_calls\"]]", REPLAY_BAD_FIELD},
        {"[[\"tenant\",\"a\"],[\"metric\",\"API\"]]", REPLAY_BAD_FIELD},
        {"[[\"tenant\",\"a\"],[\"metric\",\"other\"]]", REPLAY_UNKNOWN_METRIC},
        {"[" GOOD ",[\"quantity\",\"1e3\"]]", REPLAY_UNROUNDED},
        {"[" GOOD ",[\"ts\",\"1795000000000.5\"]]", REPLAY_BAD_TIME},
        {"[" GOOD ",[\"id\",\"\"]]", REPLAY_BAD_FIELD},
        {"[" GOOD ",[\"op\",\"add\"]]", REPLAY_BAD_FIELD},
        {"[" GOOD ",[\"Name\",\"x\"]]", REPLAY_BAD_FIELD},
        {"[" GOOD ",[\"note\",{\"base64\":\"/w==\"}]]", REPLAY_BAD_FIELD},
        {"[" GOOD ",[\"note\",\"x\"],[\"note\",\"x\"]]", REPLAY_BAD_FIELD},
        {"[" GOOD ",[\"metric\",\"api_calls\"]]", REPLAY_BAD_FIELD},
        {"[[\"tenant\",\"a\"],[\"op\",\"retract\"],[\"id\",\"x\"]]", REPLAY_NONE},
        {"[[\"tenant\",\"a\"],[\"op\",\"retract\"],[\"metric\",\"other\"],[\"id\",\"x\"]]",
         REPLAY_NONE},
        {"[[\"tenant\",\"a\"],[\"op\",\"retract\"]]", REPLAY_MISSING},
    };

    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct replay_entry entry;
        assert_int_equal(replay_entry_build(CASES[i].fields, "s", ID, NOW_MS, &entry), REPLAY_NONE);
        if (replay_check(&entry, is_api_calls, NULL) != CASES[i].wanted)
            fail_msg("%s", CASES[i].fields);
        replay_entry_done(&entry);
    }
}

static void check_sizes(const char *name, size_t length, enum replay_obstacle wanted)
{
    struct replay_entry entry;
    char *value = xmalloc(length + 1);
    memset(value, 'x', length);
    value[length] = '\0';
    char *fields = xasprintf("[%s[\"metric\",\"api_calls\"],[\"%s\",\"%s\"]]",
                             strcmp(name, "tenant") ? "[\"tenant\",\"a\"]," : "", name, value);
    replay_entry_build(fields, "s", ID, NOW_MS, &entry);
    assert_int_equal(replay_check(&entry, is_api_calls, NULL), wanted);
    replay_entry_done(&entry);
    free(fields);
    free(value);
}

static void what_is_too_large_is_told_to_the_byte(void **state)
{
    (void)state;
    check_sizes("tenant", 128, REPLAY_NONE);
    check_sizes("tenant", 129, REPLAY_TOO_LARGE);
    check_sizes("id", 255, REPLAY_NONE);
    check_sizes("id", 256, REPLAY_TOO_LARGE);
    check_sizes("note", 256, REPLAY_NONE);
    check_sizes("note", 257, REPLAY_TOO_LARGE);
    for (int n = 16; n <= 17; n++) {
        struct replay_entry entry;
        struct buf fields = {0};
        buf_add_str(&fields, "[" GOOD);
        for (int i = 0; i < n; i++)
            buf_printf(&fields, ",[\"d%d\",\"x\"]", i);
        buf_add_str(&fields, "]");
        replay_entry_build(fields.data, "s", ID, NOW_MS, &entry);
        assert_int_equal(replay_check(&entry, is_api_calls, NULL),
                         n == 16 ? REPLAY_NONE : REPLAY_TOO_LARGE);
        replay_entry_done(&entry);
        buf_done(&fields);
    }
}

static void the_tenant_names_the_shard(void **state)
{
    struct replay_entry entry;

    (void)state;
    replay_entry_build("[[\"metric\",\"tenant\"],[\"tenant\",\"acme\"]]", "s", ID, NOW_MS, &entry);
    assert_int_equal(entry.tenant_length, 4);
    assert_memory_equal(entry.tenant, "acme", 4);
    replay_entry_done(&entry);
    replay_entry_build("[[\"metric\",\"tenant\"]]", "s", ID, NOW_MS, &entry);
    assert_null(entry.tenant);
    replay_entry_done(&entry);
}

static void csv_quotes_what_needs_it(void **state)
{
    const char *const values[] = {"plain", "", "a,b", "say \"x\"", "two\r\nlines", " space "};
    struct buf out = {0};

    (void)state;
    report_add_csv(&out, 6, values);
    assert_string_equal(out.data, "plain,,\"a,b\",\"say \"\"x\"\"\",\"two\r\nlines\", space \r\n");
    buf_done(&out);
}

static void ndjson_is_one_object_a_line(void **state)
{
    static const struct report_column COLUMNS[] = {{"id", false}, {"retraction", true}};
    const char *const values[] = {"a\"\n", "false"};
    struct buf out = {0};

    (void)state;
    report_add_ndjson(&out, COLUMNS, 2, values);
    assert_string_equal(out.data, "{\"id\":\"a\\\"\\n\",\"retraction\":false}\n");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_lacks_time_or_id_gets_the_originals),
        cmocka_unit_test(a_quantity_that_would_be_refused_is_rounded),
        cmocka_unit_test(what_cannot_be_sent_is_told),
        cmocka_unit_test(what_would_be_refused_again_is_told),
        cmocka_unit_test(what_is_too_large_is_told_to_the_byte),
        cmocka_unit_test(the_tenant_names_the_shard),
        cmocka_unit_test(csv_quotes_what_needs_it),
        cmocka_unit_test(ndjson_is_one_object_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
