/* The forms in which requests bring events: which are taken, which refused, and what of them. */
#include "common/events/csv.h"
#include "common/events/json_split.h"
#include "emitter/format/cloud_event.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW_MS 1796000000000LL

static struct slice slice_of(const char *text)
{
    return (struct slice){text, strlen(text)};
}

static void objects_are_found_in_a_body(void **state)
{
    static const struct {
        const char *text;
        int count; /* -1: refused */
    } cases[] = {
        {"{}", 1},
        {" {\"a\": \"}\"} \n", 1},
        {"[]", 0},
        {"[ {} , {\"a\":[{}]} ]", 2},
        {"[{\"a\":\"\\\"}\"},{}]", 2},
        {"", -1},
        {"[", -1},
        {"[{}", -1},
        {"[{},]", -1},
        {"[{} {}]", -1},
        {"{", -1},
        {"{\"a", -1},
        {"{\"a\\", -1},
        {"{} {}", -1},
        {"[1]", -1},
        {"\"{}\"", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct json_split parts;
        struct err e;
        int result = json_split(&parts, slice_of(cases[i].text), &e);
        assert_int_equal(result == 0 ? (int)parts.count : -1, cases[i].count);
        json_split_done(&parts);
    }
}

/* A listing of what was taken, "quantity/model;" of each, "!" for one that was refused. */
static void list_event(void *owner, const struct event_line *event, const char *why)
{
    struct buf *out = owner;
    if (!event) {
        assert_non_null(why);
        buf_add_str(out, "!;");
        return;
    }
    if (event->given[EVENT_QUANTITY])
        buf_add(out, event->known[EVENT_QUANTITY].data, event->known[EVENT_QUANTITY].length);
    for (int i = 0; i < event->dimensions_count; i++) {
        buf_add_char(out, '/');
        buf_add(out, event->dimensions[i].value.data, event->dimensions[i].value.length);
    }
    buf_add_char(out, ';');
}

static void check_csv(const char *text, const char *map, const char *wanted)
{
    struct buf found = {0};
    struct format f = {
        .now_ms = NOW_MS, .tenant = slice_of("acme"), .take = list_event, .owner = &found};
    struct err e;
    buf_add_str(&found, "");
    int result = format_csv(&f, text, strlen(text), map, &e);
    assert_string_equal(result == 0 ? found.data : e.text, wanted);
    format_done(&f);
    buf_done(&found);
}

static void csv_has_quoted_fields_and_foreign_names(void **state)
{
    (void)state;
    check_csv("metric,quantity,model\nm,1,a\r\nm,,b", NULL, "1/a;/b;");
    check_csv("metric,quantity,model\nm,1,\"a,\"\"b\"\"\nc\"\n\nm,2,\"\"", NULL, "1/a,\"b\"\nc;2;");
    check_csv("\"metric\",\"quantity\"\n\"m\",\"3\"\n", NULL, "3;");
    check_csv("metric,quantity\nm\nm,1,2\nm,\"1\"2\nm,1\"\n", NULL, "!;!;!;!;");
    check_csv("Meter,Wert,Rest\nm,1,x\n", "Meter=metric,Wert=quantity,Rest=", "1;");
    check_csv(
        "metric,Wert\nm,1\n", NULL,
        "CSV: the name of field 2 is not [a-z0-9_]{1,64}, so it must be mapped to one that is");
    check_csv("metric\nm\n", "Wert=quantity", "CSV: the header has no field Wert, which is mapped");
    check_csv("metric,metric\nm,m\n", NULL, "CSV: two fields are metric");
    check_csv("metric\nm\n", "quantity",
              "a mapping must be foreign=ours, and ours [a-z0-9_]{1,64}, "
              "with commas between");
    check_csv("", NULL, "CSV: there is no line that names the fields");
}

static void times_of_cloud_events(void **state)
{
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-21T06:41:10.920Z", 1795243270920LL},
        {"2026-11-21t07:41:10.9209999+01:00", 1795243270920LL},
        {"2026-11-21T06:11:10.92-00:30", 1795243270920LL},
        {"2024-02-29T00:00:00Z", 1709164800000LL},
        {"2026-02-29T00:00:00Z", -1},
        {"2026-13-01T00:00:00Z", -1},
        {"2026-00-01T00:00:00Z", -1},
        {"2026-01-00T00:00:00Z", -1},
        {"2026-11-21T24:00:00Z", -1},
        {"2026-11-21T06:41:10", -1},
        {"2026-11-21T06:41:10.Z", -1},
        {"2026-11-21T06:41:10+0100", -1},
        {"2026-11-21 06:41:10Z", -1},
        {"2026-11-21T06:41:10Z ", -1},
        {"26-11-21T06:41:10Z", -1},
        {"", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t ms = 0;
        int result = cloud_time_ms(cases[i].text, &ms);
        if ((result == 0 ? ms : -1) != cases[i].ms)
            fail_msg("%s: %lld", cases[i].text, (long long)ms);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_found_in_a_body),
        cmocka_unit_test(csv_has_quoted_fields_and_foreign_names),
        cmocka_unit_test(times_of_cloud_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
